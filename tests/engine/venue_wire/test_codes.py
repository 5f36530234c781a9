"""The table of codes, one by one: what each proves and what a client does."""

import re
from pathlib import Path

import pytest

from engine.venue.codes import CODES, Action, Proof, http_verdict, verdict

NO, YES, PERHAPS = Proof.NOT_TAKEN, Proof.TAKEN, Proof.UNKNOWN
A = Action
EXPECTED = {  # typed from the dossier, apart from the table: code -> proof, action, same id again
    0: (YES, A.PROCEED, False),
    10000: (PERHAPS, A.QUERY, False),
    10001: (NO, A.BUG, False),
    10002: (NO, A.RESYNC_CLOCK, True),
    10003: (NO, A.STOP_USER, False),
    10004: (NO, A.STOP_USER, False),
    10005: (NO, A.STOP_USER, False),
    10006: (NO, A.WAIT, True),
    10007: (NO, A.STOP_USER, False),
    10008: (NO, A.STOP_USER, False),
    10009: (NO, A.STOP_USER, False),
    10010: (NO, A.STOP_USER, False),
    10014: (PERHAPS, A.QUERY, False),
    10016: (PERHAPS, A.QUERY, False),
    10017: (NO, A.BUG, False),
    10018: (NO, A.GLOBAL_STOP, False),
    10019: (NO, A.RECONNECT, True),
    10024: (NO, A.STOP_USER, False),
    10027: (NO, A.STOP_USER, False),
    10028: (NO, A.STOP_USER, False),
    10403: (NO, A.WAIT, True),
    10404: (NO, A.BUG, False),
    10429: (NO, A.WAIT, True),
    20001: (YES, A.SUCCESS, False),
    20003: (NO, A.WAIT, True),
    20006: (PERHAPS, A.QUERY, False),
    30135: (NO, A.LOWER_LEVERAGE, False),
    30228: (NO, A.BLOCK_ENTRIES, False),
    33004: (NO, A.STOP_USER, False),
    34040: (YES, A.VERIFY, False),
    40004: (PERHAPS, A.QUERY, False),
    429: (NO, A.WAIT, True),
    110001: (NO, A.QUERY, False),
    110003: (NO, A.REPRICE, False),
    110004: (NO, A.SHRINK, False),
    110006: (NO, A.SHRINK, False),
    110007: (NO, A.SHRINK, False),
    110008: (YES, A.ORDER_ENDED, False),
    110009: (NO, A.CLEAR_STOPS, False),
    110010: (YES, A.ORDER_ENDED, False),
    110012: (NO, A.SHRINK, False),
    110013: (NO, A.LOWER_LEVERAGE, False),
    110017: (NO, A.REREAD, False),
    110020: (NO, A.DROP_SIGNAL, False),
    110021: (NO, A.BLOCK_ENTRIES, False),
    110023: (NO, A.BLOCK_ENTRIES, False),
    110024: (NO, A.ADAPT_MODE, False),
    110025: (YES, A.SUCCESS, False),
    110026: (YES, A.SUCCESS, False),
    110027: (YES, A.SUCCESS, False),
    110028: (NO, A.ADAPT_MODE, False),
    110029: (NO, A.ADAPT_MODE, False),
    110030: (PERHAPS, A.QUERY, False),
    110032: (NO, A.DROP_SIGNAL, False),
    110040: (NO, A.DROP_SIGNAL, False),
    110042: (NO, A.BLOCK_ENTRIES, False),
    110043: (YES, A.SUCCESS, False),
    110044: (NO, A.SHRINK, False),
    110045: (NO, A.SHRINK, False),
    110051: (NO, A.SHRINK, False),
    110052: (NO, A.SHRINK, False),
    110053: (NO, A.SHRINK, False),
    110058: (NO, A.USE_TRADING_STOP, False),
    110059: (NO, A.USE_TRADING_STOP, False),
    110060: (NO, A.USE_TRADING_STOP, False),
    110061: (NO, A.USE_TRADING_STOP, False),
    110064: (NO, A.REREAD, False),
    110072: (YES, A.ADOPT, False),
    110073: (NO, A.REREAD, False),
    110074: (NO, A.DROP_SIGNAL, False),
    110076: (NO, A.ADAPT_MODE, False),
    110079: (NO, A.WAIT, True),
    110086: (NO, A.LOWER_LEVERAGE, False),
    110090: (NO, A.LOWER_LEVERAGE, False),
    110092: (NO, A.CLOSE_NOW, False),
    110093: (NO, A.CLOSE_NOW, False),
    110094: (NO, A.DROP_SIGNAL, False),
    110108: (NO, A.BUG, False),
    110109: (NO, A.BUG, False),
    110123: (NO, A.STOP_USER, False),
    110124: (NO, A.STOP_USER, False),
    110125: (NO, A.STOP_USER, False),
    3400045: (NO, A.REREAD, False),
}


@pytest.mark.parametrize("code", EXPECTED)
def test_a_code_proves_what_the_dossier_says(code) -> None:
    found = verdict(code, op="cancel" if code in (110008, 110010) else "create")
    assert (found.proof, found.action, found.same_id) == EXPECTED[code]
    assert found.code == code


@pytest.mark.parametrize("code", sorted(CODES))
def test_every_code_is_told_and_none_invites_a_double(code) -> None:
    found = CODES[code]
    assert found.name == found.name.upper()
    assert found.meaning
    if found.same_id:  # sending again is only ever right when it was certainly not taken
        assert found.proof is NO
    if found.proof is PERHAPS:
        assert found.action is A.QUERY


def test_codes_are_told_apart() -> None:
    names = [code.name for code in CODES.values()]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("code", [7, -5, 10**9, 170213, 182000])
def test_an_unknown_code_is_an_unknown_outcome(code) -> None:
    found = verdict(code, "who knows")
    assert (found.proof, found.action, found.same_id) == (PERHAPS, A.QUERY, False)


def test_an_ended_order_is_a_cancels_wish_and_an_amendments_refusal() -> None:
    for code in (110008, 110010):
        assert verdict(code, op="cancel").proof is YES
        assert verdict(code, op="amend").proof is NO
        assert verdict(code, op="amend").action is A.ORDER_ENDED
        assert (verdict(code).proof, verdict(code).action) == (PERHAPS, A.QUERY)


@pytest.mark.parametrize(
    ("words", "action"),
    [
        ("expect Rising, but trigger_price[5] <= current[6]??laste", A.CLOSE_NOW),
        ("expect Falling, but trigger_price[5] >= current[4]??last", A.CLOSE_NOW),
        ("position idx not match position mode", A.ADAPT_MODE),
        ("The number of contracts exceeds minimum limit allowed", A.BUG),
        ("", A.BUG),
    ],
)
def test_10001_speaks_by_its_words(words, action) -> None:
    found = verdict(10001, words)
    assert (found.proof, found.action) == (NO, action)


@pytest.mark.parametrize(
    ("words", "op", "action"),
    [
        (
            "StopLoss:98 set for Buy position should be lower than base_price:97??LastPrice",
            "stop",
            A.CLOSE_NOW,
        ),
        (
            "sl:257970000 set for Sell position should greater base_price:259477000??LastPrice",
            "stop",
            A.CLOSE_NOW,
        ),
        (
            "StopLoss:98 set for Buy position should be lower than base_price:97??LastPrice",
            "create",
            A.DROP_SIGNAL,
        ),
        (
            "TakeProfit:96 set for Buy position should be higher than base_price:97??LastPrice",
            "stop",
            A.REPRICE,
        ),
    ],
)
def test_a_stop_the_price_has_passed_means_close_now(words, op, action) -> None:
    found = verdict(10001, words, op=op)
    assert (found.proof, found.action) == (NO, action)


@pytest.mark.parametrize(
    ("status", "proof", "action"),
    [
        (400, NO, A.BUG),
        (401, NO, A.STOP_USER),
        (403, NO, A.GLOBAL_STOP),
        (404, NO, A.BUG),
        (429, NO, A.WAIT),
        (418, PERHAPS, A.QUERY),
        (500, PERHAPS, A.QUERY),
        (502, PERHAPS, A.QUERY),
        (504, PERHAPS, A.QUERY),
    ],
)
def test_an_http_status_proves_little(status, proof, action) -> None:
    found = http_verdict(status)
    assert found is not None
    assert (found.proof, found.action) == (proof, action)


def test_a_2xx_has_to_be_read() -> None:
    assert http_verdict(200) is None


@pytest.mark.realdata
def test_the_table_holds_every_code_the_dossier_names(shared: Path) -> None:
    dossier = shared / "design" / "bybit.md"
    if not dossier.is_file():
        pytest.skip(f"no dossier at {dossier}")
    text = dossier.read_text(encoding="utf-8")
    section = text.split("## 5. retCodes")[1].split("## 6. WebSockets")[0]
    named: set[int] = set()
    for line in section.splitlines():
        head = line.split("|")[1] if line.startswith("|") else ""
        named |= {int(x) for x in re.findall(r"(?<![#\d])\d{5,7}(?!\d)", head)}
        for first, last in re.findall(r"(\d{6})-(\d{2,6})", head):  # 110051-53
            stop = int(last if len(last) == len(first) else first[: -len(last)] + last)
            named |= set(range(int(first), stop + 1))
    assert len(named) > 70
    assert named <= CODES.keys(), named - CODES.keys()
    assert named <= EXPECTED.keys(), named - EXPECTED.keys()

"""A recording decides again as it did; every kind of difference is found where it is."""

from typing import Any

import msgspec
import pytest

from app.proofs.replay import Brain, began_under, read, replay, write
from data.records.rows import TraceRow
from engine.account import messages as m
from engine.account.commands import VerdictRecord
from engine.account.settings import CAREFUL, STANDARD, UserSettings
from engine.account.signal import Quote, Signal, SignalEnd
from engine.errors import DataError
from live.accounts.burst import SEQ_PER_VERSION


class _State(msgspec.Struct, frozen=True):
    version: int
    ticks: int = 0
    leverage: str = ""


class _Said(msgspec.Struct, frozen=True):
    state: _State
    records: tuple[Any, ...] = ()


def _decide(state: _State, message: Any, params: UserSettings) -> _Said:
    state = msgspec.structs.replace(state, ticks=state.ticks + 1, leverage=str(params.leverage))
    if isinstance(message, m.SignalEnded):
        words = f"at {state.ticks} with {params.leverage}"
        return _Said(
            state,
            (
                VerdictRecord(
                    signal_id=f"s{state.ticks}", symbol=message.end.symbol, approved=False,
                    reason="toy", words=words,
                ),
            ),
        )  # fmt: skip
    return _Said(state)


def _digest(state: _State) -> str:
    return msgspec.json.encode(state).decode()


BRAIN = Brain(lambda _user, version: _State(version), _decide, _digest)
END = SignalEnd(symbol="SOLUSDT", profile="default", interval_ms=1, t=1, kind="FAILED")
BURSTS: list[list[m.AnyMessage]] = [
    [m.Tick(at_ms=1), m.SignalEnded(at_ms=2, end=END)],
    [m.SettingsChanged(at_ms=3, version=2, settings=CAREFUL)],
    [m.Tick(at_ms=4), m.Tick(at_ms=5), m.SignalEnded(at_ms=6, end=END)],
]


def _recorded() -> tuple[list[TraceRow], list[VerdictRecord]]:
    state, settings = BRAIN.fresh("u", 1), STANDARD
    rows, verdicts = [], []
    for version, burst in enumerate(BURSTS, 1):
        for place, message in enumerate(burst):
            if isinstance(message, m.SettingsChanged):
                settings = message.settings
            said = BRAIN.decide(state, message, settings)
            state = said.state
            verdicts += said.records
            last = place == len(burst) - 1
            rows.append(
                TraceRow(
                    user_id="u", seq=version * SEQ_PER_VERSION + place, at_ms=message.at_ms,
                    body=msgspec.json.encode(message), state_hash=_digest(state) if last else "",
                )
            )  # fmt: skip
    return rows, verdicts


def _file(rows: list[TraceRow], verdicts: list[VerdictRecord]) -> list[bytes]:
    return list(write("u", 1, STANDARD, rows, verdicts))


def _played(rows: list[TraceRow], verdicts: list[VerdictRecord]) -> Any:
    return replay(read(_file(rows, verdicts), "x"), BRAIN)


def test_what_was_recorded_is_decided_again():
    found = _played(*_recorded())
    assert (found.rows, found.verdicts, found.difference) == (6, 2, "")
    assert found.kinds == {"Tick": 3, "SignalEnded": 2, "SettingsChanged": 1}


def test_a_verdict_of_the_inbox_was_never_decided():
    rows, verdicts = _recorded()
    full = VerdictRecord(
        signal_id="s0", symbol="A", approved=False, reason="inbox_full", words="too many"
    )
    assert _played(rows, [*verdicts, full]).difference == ""


def test_another_state_is_found_at_its_row():
    rows, verdicts = _recorded()
    rows[2] = msgspec.structs.replace(rows[2], state_hash="another")
    found = _played(rows, verdicts)
    assert found.seq == rows[2].seq
    assert "SettingsChanged" in found.difference


def test_another_message_is_found_at_the_end_of_its_burst():
    rows, verdicts = _recorded()
    other = m.SettingsChanged(at_ms=3, version=2, settings=STANDARD)
    rows[2] = msgspec.structs.replace(rows[2], body=msgspec.json.encode(other))
    assert _played(rows, verdicts).seq == rows[2].seq


@pytest.mark.parametrize("change", ["missing", "more", "words"])
def test_another_verdict_is_found(change):
    rows, verdicts = _recorded()
    more = msgspec.structs.replace(verdicts[0], signal_id="s99")
    other = msgspec.structs.replace(verdicts[0], words="other words")
    given = {
        "missing": verdicts[1:],
        "more": [*verdicts, more],
        "words": [other, *verdicts[1:]],
    }[change]
    assert "verdict of s" in _played(rows, given).difference


def test_an_unreadable_message_is_a_difference_and_no_crash():
    rows, verdicts = _recorded()
    rows[1] = msgspec.structs.replace(rows[1], body=b'{"type":"Nothing"}')
    found = _played(rows, verdicts)
    assert found.seq == rows[1].seq
    assert "cannot be read" in found.difference


def test_rows_that_are_gone_are_told_when_it_is_written():
    rows, verdicts = _recorded()
    with pytest.raises(DataError, match="no rows of version 1"):
        _file(rows[2:], verdicts)
    with pytest.raises(DataError, match="no rows of version 2"):
        _file([*rows[:2], *rows[3:]], verdicts)


def test_a_file_cut_short_is_no_recording():
    lines = _file(*_recorded())
    for cut in (lines[:-1], lines[1:], lines[:3], [*lines[:2], *lines[3:]], []):
        with pytest.raises(DataError, match="no whole recording"):
            read(cut, "x")
    with pytest.raises(DataError, match="line 2"):
        read([lines[0], b"{"], "x")


def test_it_began_under_the_settings_its_first_burst_agrees_with():
    rows, _ = _recorded()
    versions = [(1, CAREFUL), (2, STANDARD), (1, STANDARD)]
    assert began_under("u", versions, rows[:2], BRAIN) == (1, STANDARD)
    assert began_under("u", versions[:1], rows[:2], BRAIN) == (1, CAREFUL)


def test_signals_survive_the_file():
    quote = Quote(ts=1, bid=1.5, ask=1.6, mark=1.5, spread_bps=0.1, sweep_bps=0.2)
    signal = Signal(
        signal_id="s", symbol="A", profile="default", interval_ms=1, t=1, close=0.1, level=0.2,
        levels=(0.1, 0.3), floor=0.05, batr=1e-9, atr=1e-8, quote=quote,
    )  # fmt: skip
    raw = msgspec.json.encode(signal)
    assert msgspec.json.decode(raw, type=Signal) == signal

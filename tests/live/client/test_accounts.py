"""Opening accounts: every bad key and account is refused with a code, a good one is opened."""

from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from app.proofs import simloop
from app.proofs.exactly_once_world import market
from app.proofs.simwire import DoorConnect, DoorTransport
from engine.venue.wire.keys import AccountInfo, KeyInfo
from engine.venue.words import MarginMode
from live.venues.bybit.accounts import BybitAccounts, NotOpened, Opened
from live.venues.bybit.keycheck import faults_of_account, faults_of_key
from live.venues.bybit.simvenue import SimVenue
from live.venues.keys import Key

GOOD = KeyInfo(
    api_key="k", read_only=False, permissions={"ContractTrade": ("Order", "Position")},
    ips=("203.0.113.7",),
)  # fmt: skip
NOW = simloop.START_MS


def _key(**facts: Any) -> KeyInfo:
    given = {name: getattr(GOOD, name) for name in GOOD.__dataclass_fields__}
    return KeyInfo(**{**given, **facts})


@pytest.mark.parametrize(
    ("code", "facts"),
    [
        ("key_read_only", {"read_only": True}),
        ("key_rights", {"permissions": {"ContractTrade": ("Order",)}}),
        ("key_rights", {"permissions": {}}),
        *(
            ("key_withdraw", {"permissions": {**GOOD.permissions, group: (right,)}})
            for group, right in (
                ("Wallet", "Withdraw"), ("Wallet", "AccountTransfer"),
                ("Wallet", "SubMemberTransferList"), ("Spot", "fiatWITHDRAW"),
            )
        ),
        ("key_unknown_rights", {"permissions": {**GOOD.permissions, "Loans": ("Borrow",)}}),
        ("account_kind", {"unified": False}),
        ("key_expired", {"expired_at": "2020-01-01T00:00:00Z"}),
        ("key_unbound", {"ips": ()}),
    ],
)  # fmt: skip
def test_a_key_that_may_too_little_or_too_much_is_refused(code, facts):
    found = faults_of_key(_key(**facts), now_ms=NOW, real_money=True)
    assert [c for c, _ in found] == [code]


@pytest.mark.parametrize(
    "facts",
    [
        {},
        {"expired_at": "1970-01-01T00:00:00Z"},
        {"expired_at": ""},
        {"expired_at": "2099-01-01"},
        {"permissions": {**GOOD.permissions, "Loans": ()}},
    ],
)
def test_a_key_for_trading_alone_is_good(facts):
    assert faults_of_key(_key(**facts), now_ms=NOW, real_money=True) == ()


def test_without_real_money_a_key_need_not_be_bound():
    assert faults_of_key(_key(ips=()), now_ms=NOW, real_money=False) == ()


def test_only_unified_accounts_without_portfolio_margin():
    assert faults_of_account(AccountInfo("ISOLATED_MARGIN", 5)) == ()
    assert faults_of_account(AccountInfo("REGULAR_MARGIN", 6)) == ()
    found = faults_of_account(AccountInfo("PORTFOLIO_MARGIN", 3))
    assert [code for code, _ in found] == ["account_kind", "margin_mode"]


def _on_venue(
    key_options: dict[str, Any], mode: MarginMode = MarginMode.ISOLATED, secret: str = ""
):
    async def main(clock: simloop.SimClock) -> Any:
        rng = np.random.default_rng(3)
        venue = SimVenue(market(rng), "1m", seed=1, start_ms=clock.now_ms())
        made = venue.desk.open_account(Decimal(1000), margin_mode=mode, **key_options)
        accounts = BybitAccounts(
            DoorTransport(venue, clock, rng), "ws://sim", clock, rng, real_money=False,
            connect=DoorConnect(venue, clock),
        )  # fmt: skip
        key = Key(made.key, secret or made.secret)
        found = await accounts.open("user", key)
        again = await accounts.check("user", key)
        if isinstance(found, Opened):
            await found.stream.close()
            await found.venue.close()
        await accounts.close()
        return found, again

    return simloop.run(main, 1)


def test_a_good_account_is_opened_with_its_margin_mode():
    found, again = _on_venue({})
    assert isinstance(found, Opened)
    assert found.margin_mode() == "ISOLATED_MARGIN"
    assert again is None


@pytest.mark.parametrize(
    ("code", "options", "mode", "secret"),
    [
        ("key_read_only", {"read_only": True}, MarginMode.ISOLATED, ""),
        ("margin_mode", {}, MarginMode.PORTFOLIO, ""),
        ("key_bad", {}, MarginMode.ISOLATED, "another secret"),
        ("key_bad", {"ips": ("203.0.113.7",)}, MarginMode.ISOLATED, ""),
        ("key_bad", {"expires_ms": 1}, MarginMode.ISOLATED, ""),
    ],
)
def test_what_the_venue_says_of_a_bad_one_is_a_reason_and_no_secret(code, options, mode, secret):
    found, again = _on_venue(options, mode, secret)
    assert isinstance(found, NotOpened)
    assert found == again
    assert [c for c, _ in found.faults] == [code]
    assert not found.retryable
    assert "secret" not in repr(found)

"""Which coins are watched, and why each other one is not. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from engine.venue.wire import InstrumentInfo, TickerInfo, as_float, as_int

_DAY_MS = 86_400_000


class Exclusion(Enum):
    """The one reason a coin is not watched; the first that applies, in this order."""

    NOT_USDT_PERPETUAL = "not a USDT perpetual"
    BLACKLISTED = "on the blacklist"
    PRE_LISTING = "pre-listing"
    NOT_TRADING = "not trading"
    DELISTING = "delisting announced"
    TOO_NEW = "listed too recently"
    NO_TICKER = "no ticker"
    NO_TURNOVER = "turnover unknown"
    THIN = "turnover in 24 h too small"


@dataclass(frozen=True, slots=True)
class Rules:
    """What a coin must satisfy."""

    turnover_min_usdt: float = 5_000_000.0
    listed_min_days: float = 30.0
    blacklist: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Universe:
    """The coins watched (sorted) and the reason for each other one."""

    symbols: tuple[str, ...] = ()
    excluded: Mapping[str, Exclusion] = field(default_factory=dict)

    def diff(self, newer: "Universe") -> tuple[tuple[str, ...], dict[str, str]]:
        """Return what a newer universe adds, and what it removes with the reason."""
        have, want = set(self.symbols), set(newer.symbols)
        gone = {
            s: newer.excluded[s].value if s in newer.excluded else "no longer listed"
            for s in sorted(have - want)
        }
        return tuple(sorted(want - have)), gone


def judge(
    info: InstrumentInfo, ticker: TickerInfo | None, rules: Rules, now_ms: int
) -> Exclusion | None:
    """Return why a coin is not watched, or None when it is.

    Parameters
    ----------
    info, ticker
        What the venue says of it.
    rules : Rules
        What it must satisfy.
    now_ms : int
        The venue's time.
    """
    reason: Exclusion | None = None
    age_days = (now_ms - as_int(info.launch_time)) / _DAY_MS
    turnover = as_float(ticker.turnover_24h) if ticker is not None else float("nan")
    if info.contract_type != "LinearPerpetual" or info.settle_coin != "USDT":
        reason = Exclusion.NOT_USDT_PERPETUAL
    elif info.symbol in rules.blacklist:
        reason = Exclusion.BLACKLISTED
    elif info.is_pre_listing:
        reason = Exclusion.PRE_LISTING
    elif info.status != "Trading":
        reason = Exclusion.NOT_TRADING
    elif as_int(info.delivery_time) > 0:
        reason = Exclusion.DELISTING
    elif age_days < rules.listed_min_days:
        reason = Exclusion.TOO_NEW
    elif ticker is None:
        reason = Exclusion.NO_TICKER
    elif rules.turnover_min_usdt > 0.0 and turnover != turnover:  # noqa: PLR0124 - NaN
        reason = Exclusion.NO_TURNOVER
    elif turnover < rules.turnover_min_usdt:
        reason = Exclusion.THIN
    return reason


def select(
    instruments: Iterable[InstrumentInfo], tickers: Iterable[TickerInfo], rules: Rules, now_ms: int
) -> Universe:
    """Judge every instrument; the order of the lists does not matter."""
    by_symbol = {t.symbol: t for t in tickers}
    watched: list[str] = []
    excluded: dict[str, Exclusion] = {}
    for info in sorted(instruments, key=lambda i: i.symbol):
        reason = judge(info, by_symbol.get(info.symbol), rules, now_ms)
        if reason is None:
            watched.append(info.symbol)
        else:
            excluded[info.symbol] = reason
    return Universe(tuple(dict.fromkeys(watched)), excluded)

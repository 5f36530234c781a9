"""One lake through the portfolio backtest and through the whole live service: the same money."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec

from app.proofs import simloop
from app.proofs.comparison import Telling
from app.proofs.parity_live_world import LiveWorld, Played
from engine.account.commands import TradeRecord, VerdictRecord
from engine.account.decide import decide
from engine.account.settings import CAREFUL, STANDARD, UserSettings
from engine.account.state import fresh
from engine.bars import interval_ms
from engine.pipeline.market import market_history
from research.portfolio import Brain, PortfolioResult, portfolio
from research.portfolio_market import regimes

CAPITAL_USDT = 10_000
_ALL = 1_000_000
MARKET = msgspec.structs.replace(STANDARD, entry_mode="next_open")
_KINDS = (("standard", STANDARD), ("careful", CAREFUL), ("market entry", MARKET))

Row = tuple[Any, ...]
Lines = Mapping[Any, Row]


@dataclass(frozen=True, slots=True)
class LiveTask:
    """What is to be compared. `symbols` are the whole market; None in times: all there is."""

    lake: Path
    venue: str | None
    interval: str
    symbols: str
    users: int
    seed: int
    start_ms: int | None = None
    end_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that only one side has, or that the sides have differently."""

    user: str
    what: str  # fill funding verdict trade wallet
    key: str
    portfolio: str
    live: str


@dataclass(slots=True)
class LiveResult:
    """Both sides' figures, and where they differ."""

    bars: int
    symbols: int
    users: int
    fills: int = 0
    fundings: int = 0
    verdicts: int = 0
    trades: int = 0
    holds: int = 0
    warnings: list[str] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)
    wallets: dict[str, str] = field(default_factory=dict)

    @property
    def causes(self) -> dict[str, int]:
        """How many differences of each kind there are."""
        return dict(Counter(each.what for each in self.differences))

    def document(self) -> dict[str, Any]:
        """Return the JSON document."""
        first = self.differences[0] if self.differences else None
        return {
            "bars": self.bars,
            "symbols": self.symbols,
            "users": self.users,
            "events": self.verdicts,
            "fills": self.fills,
            "fundings": self.fundings,
            "trades": self.trades,
            "wallets_usdt": self.wallets,
            "mismatches": len(self.differences),
            "causes": self.causes,
            "first_mismatch": None if first is None else _plain(first),
            "restarts": 0,
            "holds": self.holds,
            "warnings": self.warnings,
        }

    def lines(self) -> Iterator[str]:
        """Yield what a person reads."""
        yield (
            f"  compared   {self.users} users: {self.verdicts:,} verdicts, {self.trades:,} trades, "
            f"{self.fills:,} fills, {self.fundings:,} funding payments"
        )
        for user, wallet in self.wallets.items():
            yield f"             {user:<16} {wallet:>18} USDT"
        yield from (f"  ! {text}" for text in self.warnings[:5])
        if not self.differences:
            yield "\n  ✓ identical · 0 differences"
            return
        yield f"\n  ✗ {len(self.differences):,} differences: {self.causes}"
        for each in self.differences[:10]:
            yield f"    {each.user} · {each.what} {each.key}"
            yield f"      portfolio  {each.portfolio}"
            yield f"      live       {each.live}"


def run_live_parity(task: LiveTask, out: Telling) -> LiveResult:
    """Run both sides and compare them.

    Raises
    ------
    DataError, UsageError
        The lake, venue, interval or symbols do not exist.
    """
    users = _users(task.users)
    with out.stage("portfolio backtest") as stage:
        lived = {user: _portfolio(task, settings) for user, (_, settings) in users.items()}
        stage.note = f"{sum(len(each.trades) for each in lived.values()):,} trades"
    first = next(iter(lived.values()))
    out.skipped(first.skips)
    played = _played(task, first, {user: settings for user, (_, settings) in users.items()})
    with TemporaryDirectory() as folder, out.stage("live service") as stage:
        world, written = simloop.run(
            lambda clock: _live(played(Path(folder)), clock), seed=task.seed
        )
        stage.note = f"{world.holds:,} holds"
    result = LiveResult(first.bars, len(first.symbols), len(users), holds=world.holds)
    result.warnings = world.log.warnings
    for user, (name, _) in users.items():
        _compare(result, name, lived[user], world, user, written[user])
    return result


def _users(amount: int) -> dict[str, tuple[str, UserSettings]]:
    found = {}
    for number in range(amount):
        name, settings = _KINDS[number % len(_KINDS)]
        more = f" {number // len(_KINDS) + 1}" if number >= len(_KINDS) else ""
        found[f"00000000-0000-0000-0000-{number + 1:012d}"] = (name + more, settings)
    return found


def _portfolio(task: LiveTask, settings: UserSettings) -> PortfolioResult:
    return portfolio(
        task.lake,
        settings,
        Brain(decide, fresh),
        venue=task.venue,
        interval=task.interval,
        symbols=task.symbols,
        capital=CAPITAL_USDT,
        # the service is up at the start, and hears from the next closing on
        start_ms=None if task.start_ms is None else task.start_ms + interval_ms(task.interval),
        end_ms=task.end_ms,
        seed=task.seed,
        alone=True,
    )


def _played(task: LiveTask, first: PortfolioResult, users: Mapping[str, UserSettings]) -> Any:
    replay = first.desk.replay
    step = replay.interval_ms
    market = market_history(first.loaded.universe, first.profile.market, step)
    start = max(replay.first + step, (task.start_ms or 0) // step * step)
    told = regimes(market, first.loaded.universe, step)
    return lambda home: Played(
        replay, first.profile, users, Decimal(CAPITAL_USDT), told, start, task.seed, home
    )


async def _live(played: Played, clock: simloop.SimClock) -> tuple[LiveWorld, dict[str, Any]]:
    world = LiveWorld(played, clock)
    await world.play()
    written = {
        user: (await world.store.trades(user, _ALL), await world.store.verdicts(user, _ALL))
        for user in played.users
    }
    return world, written


# ---------------------------------------------------------------------------- comparing


def _compare(
    result: LiveResult,
    name: str,
    lived: PortfolioResult,
    world: LiveWorld,
    user: str,
    written: tuple[Sequence[TradeRecord], Sequence[VerdictRecord]],
) -> None:
    account = world.seats[user].account
    said = [record for _, record in lived.life.records]
    pairs: tuple[tuple[str, Lines, Lines], ...] = (
        ("fill", _executed(lived.desk.account, "TRADE"), _executed(account, "TRADE")),
        ("funding", _executed(lived.desk.account, "FUNDING"), _executed(account, "FUNDING")),
        ("verdict", _verdicts(said), _verdicts(written[1])),
        ("trade", _trades(said), _trades(written[0])),
        (
            "wallet",
            {"end": (lived.final_wallet,)},
            {"end": (account.wallet.wallet_balance,)},
        ),
    )
    counts = [len(found) for _, found, _ in pairs]
    result.fills += counts[0]
    result.fundings += counts[1]
    result.verdicts += counts[2]
    result.trades += counts[3]
    result.wallets[name] = format(account.wallet.wallet_balance, "f")
    for what, ours, theirs in pairs:
        result.differences += differing(name, what, ours, theirs)


def differing(user: str, what: str, ours: Lines, theirs: Lines) -> Iterator[Difference]:
    """Yield every key whose rows differ, or that only one side has."""
    for key in sorted({*ours, *theirs}, key=str):
        a, b = ours.get(key), theirs.get(key)
        if a != b:
            yield Difference(user, what, str(key), _shown(a), _shown(b))


def _executed(account: Any, kind: str) -> Lines:
    """Return an account's executions by time, coin, side and their number there."""
    rows: dict[Any, Row] = {}
    seen: Counter[Any] = Counter()
    for each in account.executions:
        if each.exec_type.name != kind:
            continue
        key = (each.exec_time, each.symbol, each.side.name)
        seen[key] += 1
        rows[*key, seen[key]] = (each.exec_price, each.exec_qty, each.exec_fee, each.is_maker)
    return rows


def _verdicts(records: Sequence[Any]) -> Lines:
    found = [each for each in records if isinstance(each, VerdictRecord)]
    return {each.signal_id: (each.approved, each.reason) for each in found}


def _trades(records: Sequence[Any]) -> Lines:
    """Return each trade as it was written last; by its signal, since ids hold the user's name."""
    found = [each for each in records if isinstance(each, TradeRecord)]
    return {
        each.signal_id: (
            each.status,
            each.entry_price,
            each.stop_loss,
            each.realised_usdt,
            each.fees_usdt,
            each.funding_usdt,
            each.opened_ms,
            each.closed_ms,
            each.exit_kind,
        )
        for each in found
    }


def _shown(row: Row | None) -> str:
    return "nothing" if row is None else "  ".join(str(value) for value in row)


def _plain(each: Difference) -> dict[str, str]:
    return {
        "user": each.user,
        "what": each.what,
        "key": each.key,
        "portfolio": each.portfolio,
        "live": each.live,
    }

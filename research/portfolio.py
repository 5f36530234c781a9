"""The portfolio backtest: what one user's settings would have lived, by the code that trades live.

The same `decide` with the same nine controls, and the same venue machine, book and fees as
`zion sim` and paper mode (docs/adr/0013). The fast path kernel stays for sweeps;
`portfolio_compare` counts where the two differ, and why.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from data.catalog import Lake
from data.profiles import load_profile
from data.readable import Skip
from data.replay import on_grid
from engine.account.settings import UserSettings
from engine.bars import interval_ms
from engine.errors import UsageError
from engine.kernels._jit import source_hash
from engine.pipeline.market import market_history
from engine.pipeline.phase import EVENT
from engine.pipeline.profile import Profile
from engine.stats.equity import equity_metrics
from engine.stats.metric import Metric
from engine.stats.trades import trade_metrics
from engine.venue.instrument import exact
from engine.venue.replay import Replay
from research.backtest import check_times
from research.counts import FUNNEL
from research.curve import daily
from research.frames import event_frame
from research.portfolio_books import (
    TradeBook,
    equity_frame,
    fill_frame,
    trade_books,
    trade_columns,
    trade_frame,
    verdict_frame,
)
from research.portfolio_desk import AccountDesk, Fees
from research.portfolio_market import moments, regimes
from research.portfolio_run import Decide, Life, Player
from research.runs import data_hash, make_folder, plain, write_frames, write_text
from research.settings import digest
from research.stages import Progress, Watch, detect, warm_up
from research.universe import Loaded, choose_symbols, load

USER_ID = "portfolio"


class Brain(NamedTuple):
    """The user's engine: what decides, and the state it begins with."""

    decide: Decide
    fresh: Callable[[str, int], Any]


@dataclass(slots=True)
class PortfolioTiming:
    """Wall seconds by stage; kernels are warm before the first."""

    warm_s: float = 0.0
    load_s: float = 0.0
    detect_s: float = 0.0
    simulate_s: float = 0.0
    statistics_s: float = 0.0
    total_s: float = 0.0
    detect_ns_per_bar: float = float("nan")


@dataclass(slots=True)
class PortfolioResult:
    """Everything a user lived.

    Attributes
    ----------
    events, trades, fills, equity, verdicts : pl.DataFrame
    books : list of TradeBook
        The trades with their exact money.
    final_equity, final_wallet : Decimal
        As the venue has them at the end.
    """

    venue: str
    interval: str
    profile: Profile
    settings: UserSettings
    capital: Decimal
    symbols: list[str]
    skips: list[Skip]
    bars: int
    first_ts: int
    last_ts: int
    events: pl.DataFrame
    trades: pl.DataFrame
    fills: pl.DataFrame
    equity: pl.DataFrame
    verdicts: pl.DataFrame
    funnel: dict[str, int]
    refusals: dict[str, int]
    metrics: dict[str, Metric]
    messages: int
    final_equity: Decimal
    final_wallet: Decimal
    books: list[TradeBook]
    loaded: Loaded
    found: list[np.ndarray]
    life: Life
    desk: AccountDesk
    hashes: dict[str, str]
    timing: PortfolioTiming
    files: dict[str, str] = field(default_factory=dict)
    comparison: dict[str, Any] | None = None

    def document(self) -> dict[str, Any]:
        """Return the JSON document of the contract, plain types only."""
        timing = {name: getattr(self.timing, name) for name in PortfolioTiming.__slots__}
        return plain(
            {
                "kind": "portfolio",
                "venue": self.venue,
                "interval": self.interval,
                "profile": self.profile.id,
                "bars": self.bars,
                "symbols": len(self.symbols),
                "first_ts": self.first_ts,
                "last_ts": self.last_ts,
                "events": len(self.events),
                "signals": len(self.verdicts),
                "trades": len(self.trades),
                "timing": timing,
                "funnel": self.funnel,
                "refusals": self.refusals,
                "metrics": {name: m._asdict() for name, m in self.metrics.items()},
                "messages": self.messages,
                "capital_usdt": format(self.capital, "f"),
                "final_equity_usdt": format(self.final_equity, "f"),
                "final_wallet_usdt": format(self.final_wallet, "f"),
                "skipped": [{"symbol": s.symbol, "reason": s.reason} for s in self.skips],
                "compare": self.comparison,
                "hashes": self.hashes,
                "files": self.files,
            }
        )


class _Ask(NamedTuple):
    lake: Lake
    venue: str
    interval: str
    step: int
    symbols: list[str]
    profile: Profile
    settings: UserSettings
    capital: Decimal
    seed: int


def portfolio(
    lake: Lake | Path | str,
    settings: UserSettings,
    brain: Brain,
    venue: str | None = None,
    interval: str = "15m",
    symbols: str | Sequence[str] = "all",
    capital: float = 10_000.0,
    *,
    start_ms: int | None = None,
    end_ms: int | None = None,
    seed: int = 0,
    alone: bool = False,
    progress: Progress | None = None,
) -> PortfolioResult:
    """Replay a user's settings over a lake.

    Parameters
    ----------
    lake : Lake or path
    settings : UserSettings
        Their profile is the detector's.
    brain : Brain
    start_ms, end_ms : int, optional
        Signals from `start_ms` on are told, bars up to `end_ms` are read; the detector always
        starts at the first bar there is.
    seed : int
        Of the book's depth, as in `zion sim`.
    alone : bool
        The coins asked for are the whole market; else all coins of the lake make it.

    Raises
    ------
    UsageError, DataError
        Unknown names, bad numbers, an empty or unreadable lake.
    PromiseBroken
        The venue's executions and the user's books differ.
    """
    began = perf_counter()
    check_times(start_ms, end_ms)
    ask = _ask(lake, settings, venue, interval, symbols, capital, seed)
    timing = PortfolioTiming()
    watch = Watch(timing, progress)
    watch.stage("warm", warm_up)
    loaded = watch.stage(
        "load",
        lambda: load(ask.lake, ask.venue, interval, ask.symbols, ask.profile, end_ms, alone=alone),
    )
    n_bars = sum(map(len, loaded.raw.values()))
    watch.tell("load", f"{n_bars:,} bars")
    market = market_history(loaded.universe, ask.profile.market, ask.step)
    found = watch.stage("detect", lambda: detect(loaded, ask.profile, market, ask.step))
    timing.detect_ns_per_bar = timing.detect_s * 1e9 / max(n_bars, 1)
    replay = replay_of(loaded, ask.step)
    start = max(replay.first, start_ms or 0)
    told = moments(
        found,
        {i: h.symbol for i, h in loaded.histories.items()},
        regimes(market, loaded.universe, ask.step),
        profile=ask.profile.name,
        interval=interval,
        start_ms=start,
    )
    desk = AccountDesk(replay, interval, ask.capital, fees_of(settings), start_ms=start, seed=seed)
    player = Player(brain.decide, brain.fresh(USER_ID, 1), settings, desk)
    life = watch.stage(
        "simulate",
        lambda: player.play(told, replay.last + ask.step),
        lambda x: f"{x.messages:,} messages|{len(desk.filled):,} executions",
    )
    result = watch.stage(
        "statistics", lambda: _conclude(ask, loaded, found, start, replay, desk, life, timing)
    )
    timing.total_s = perf_counter() - began
    return result


def fees_of(settings: UserSettings) -> Fees:
    """Return the fees a user pays at the venue: those the settings know of."""
    return Fees(settings.maker_fee, settings.taker_fee)


def replay_of(loaded: Loaded, step: int) -> Replay:
    """Return the market that is played: sound bars, and one funding row a settlement."""
    bars = {h.symbol: on_grid(h.bars, step) for h in loaded.histories.values()}
    funding = {
        h.symbol: (h.funding.ts, h.funding.rate)
        for h in loaded.histories.values()
        if len(h.funding.ts)
    }
    return Replay(step, bars, funding)


def _ask(
    lake: Lake | Path | str,
    settings: UserSettings,
    venue: str | None,
    interval: str,
    symbols: str | Sequence[str],
    capital: float,
    seed: int,
) -> _Ask:
    lake = lake if isinstance(lake, Lake) else Lake(lake)
    if not capital > 0.0:
        raise UsageError(f"--capital {capital:g} must be above 0")
    step = interval_ms(interval)
    if step not in settings.intervals_ms:
        known = ", ".join(str(ms) for ms in settings.intervals_ms)
        raise UsageError(
            f"these settings do not trade {interval}",
            why=f"intervals_ms is {known}",
            hint="name another --interval, or add it to the settings",
        )
    venue = lake.resolve_venue(venue)
    names = choose_symbols(lake, venue, interval, symbols)
    profile = load_profile(settings.profile, interval)
    money = exact(float(capital))
    return _Ask(lake, venue, interval, step, names, profile, settings, money, seed)


def _conclude(
    ask: _Ask,
    loaded: Loaded,
    found: list[np.ndarray],
    start: int,
    replay: Replay,
    desk: AccountDesk,
    life: Life,
    timing: PortfolioTiming,
) -> PortfolioResult:
    books = trade_books(life, desk)
    trades, equity, verdicts = trade_frame(books, replay), equity_frame(life), verdict_frame(life)
    names = {i: h.symbol for i, h in loaded.histories.items()}
    events = np.concatenate([*found, np.zeros(0, EVENT)])
    events = events[np.argsort(events["t"], kind="stable")]
    events = events[events["t"] >= start]
    rng = np.random.default_rng(ask.seed)
    metrics = trade_metrics(trade_columns(trades), rng)
    metrics += equity_metrics(daily(equity)["equity"].to_numpy(), rng, n_trials=1)
    return PortfolioResult(
        venue=ask.venue,
        interval=ask.interval,
        profile=ask.profile,
        settings=ask.settings,
        capital=ask.capital,
        symbols=[h.symbol for h in loaded.histories.values()],
        skips=loaded.skips,
        bars=sum(map(len, loaded.raw.values())),
        first_ts=start,
        last_ts=replay.last + ask.step,
        events=event_frame(events, names),
        trades=trades,
        fills=fill_frame(books),
        equity=equity,
        verdicts=verdicts,
        funnel=_funnel(events, desk, trades),
        refusals=_refusals(verdicts),
        metrics={m.name: m for m in metrics},
        messages=life.messages,
        final_equity=desk.equity(),
        final_wallet=desk.account.wallet.wallet_balance,
        books=books,
        loaded=loaded,
        found=found,
        life=life,
        desk=desk,
        hashes={
            "settings": digest(ask.settings, ask.capital, ask.symbols, ask.seed, start),
            "data": data_hash(loaded.raw),
            "code": source_hash(),
            "profile": f"{ask.profile.params_hash & (2**64 - 1):016x}",
        },
        timing=timing,
    )


def _funnel(events: np.ndarray, desk: AccountDesk, trades: pl.DataFrame) -> dict[str, int]:
    out = {name: int((events["kind"] == int(kind)).sum()) for name, kind in FUNNEL.items()}
    out["ordered"] = sum(order.leg == "entry" for order in desk.orders.values())
    out["entered"] = len(trades)
    out["tp1"] = int(trades["tp1_hit"].sum())
    return out


def _refusals(verdicts: pl.DataFrame) -> dict[str, int]:
    refused = verdicts.filter(~pl.col("approved"))["reason"].to_list()
    counts = {reason: refused.count(reason) for reason in set(refused)}
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def file_portfolio(result: PortfolioResult, folder: Path) -> None:
    """Write the run's tables and its document into a folder."""
    make_folder(folder.parent, folder.name)
    frames = {
        "events": result.events,
        "trades": result.trades,
        "fills": result.fills,
        "equity": result.equity,
        "verdicts": result.verdicts,
    }
    result.files = {name: str(folder / f"{name}.parquet") for name in frames}
    write_frames(folder, frames)
    write_text(folder / "run.json", json.dumps(result.document(), indent=1))

"""Parity holds on an honest live path, and is seen to break on each planted bug."""

import numpy as np
import pytest

from app.cli.out import Out
from app.proofs.comparison import ParityTask, Seen, compare
from app.proofs.parity import history_run, load, run_parity
from app.proofs.parity_step import step_run
from data.catalog import Lake
from data.profiles import load_profile
from data.synth import make_market, write_market
from engine.bars import Bars, interval_ms
from engine.pipeline.market import MarketSeries, market_history
from engine.pipeline.phase import CONTEXT, new_contexts
from engine.pipeline.scan import scan_history
from live.market.scanner import Scanner
from tests.proofs.fast import fast_sum, plain_sum


@pytest.fixture(scope="module")
def task(tmp_path_factory):
    lake = tmp_path_factory.mktemp("lake")
    write_market(Lake(lake), make_market(np.random.default_rng(3), symbols=6, days=30))
    return ParityTask(
        lake=lake,
        venue=None,
        interval="15m",
        symbols="all",
        profile=load_profile("early", "15m"),
        feed="step",
        restarts=25,
        reconnects=2,
        late=4,
        bars=0,
        seed=5,
    )


def test_an_honest_live_path_is_identical(task):
    found = run_parity(task, Out(json=True))
    assert found.mismatches == 0
    assert found.first_mismatch is None
    assert found.restarts == 25
    assert found.events > 50, "the market must have something to compare"


def test_fewer_symbols_see_the_same_market(task):
    universe, every, _ = load(task)
    whole = history_run(task, universe, every)
    one = history_run(task, universe, every[2:3])
    assert one.events[every[2]].tobytes() == whole.events[every[2]].tobytes()


class AtrOverFrame(Scanner):
    """Recomputes the slow ATR from the rolling frame instead of carrying it."""

    def _scan(self, ts, rows, bars):
        events = super()._scan(ts, rows, bars)
        for row in rows:
            view = self.frames.bars(int(row))
            if len(view) < 64:
                continue
            span = view.high - view.low
            mean = span[0]
            for x in span[1:]:
                mean += (x - mean) / 192
            self.contexts["atr_slow"][row] = mean
        return events


class Forgetful(Scanner):
    """Keeps the volatility at the peaks outside of the record: a restart loses it."""

    def load_market(self, stamps, table):
        super().load_market(stamps, table)
        self.contexts["dq_sigma"] = 0.0


class LastBit(Scanner):
    """Sums the newest closes in another order, as fastmath would, and lets that reach the state."""

    def _scan(self, ts, rows, bars):
        events = super()._scan(ts, rows, bars)
        for row in rows:
            closes = np.log(self.frames.closes(int(row)))
            if len(closes):
                self.contexts["sy"][row] += fast_sum(closes) - plain_sum(closes)
        return events


@pytest.mark.parametrize("broken", [AtrOverFrame, Forgetful, LastBit])
def test_a_planted_bug_of_the_live_path_is_caught(task, broken):
    found = run_parity(task, Out(json=True), scanner=broken)
    assert found.mismatches > 0
    assert found.first_mismatch is not None
    assert found.first_mismatch["columns"]


def peeking_history(task, universe, _chosen) -> Seen:
    """Let every bar see the market's facts of its own minute: one bar ahead of live."""
    step_ms = interval_ms(task.interval)
    honest = market_history(universe, task.profile.market, step_ms)
    ahead = MarketSeries(
        honest.ts - step_ms,
        honest.breadth,
        honest.median_fall,
        honest.present,
        honest.absent,
        honest.universe_hash,
    )
    return _history(task, universe, ahead)


def clairvoyant_history(task, universe, _chosen) -> Seen:
    """Let every bar know the next one's close, as a window shifted by one would."""
    shifted = {
        s: Bars.from_arrays(
            b.ts[:-1],
            b.open[:-1],
            np.maximum(b.high[:-1], b.close[1:]),
            np.minimum(b.low[:-1], b.close[1:]),
            b.close[1:],
            b.volume[:-1],
        )
        for s, b in universe.items()
    }
    return _history(task, shifted, None)


def _history(task, universe, market) -> Seen:
    events, contexts = {}, {}
    for row, (symbol, bars) in enumerate(universe.items()):
        contexts[symbol] = new_contexts(1)
        events[symbol] = scan_history(
            contexts[symbol],
            task.profile.params,
            bars,
            symbol_id=row,
            interval_ms=interval_ms(task.interval),
            market=market,
        )
    return Seen(events, contexts)


@pytest.mark.parametrize("peeking", [peeking_history, clairvoyant_history])
def test_a_look_ahead_by_one_bar_is_caught(task, peeking):
    found = run_parity(task, Out(json=True), history=peeking)
    assert found.mismatches > 0


def test_bad_bars_are_the_same_on_both_sides(task):
    """Impossible, repeated and missing bars: same resets, and the same market for the others."""
    made = make_market(np.random.default_rng(4), symbols=4, days=20)
    universe = dict(made.bars["15m"])
    rng = np.random.default_rng(1)
    for symbol in list(universe)[1:]:
        b = universe[symbol]
        order = np.sort(np.concatenate([np.arange(len(b)), rng.choice(len(b), 5)]))
        order = np.delete(order, rng.choice(len(order), 3, replace=False))
        columns = [getattr(b, c)[order].copy() for c in ("open", "high", "low", "close", "volume")]
        for k in rng.choice(len(order), 4, replace=False):
            columns[int(rng.integers(5))][k] = rng.choice([np.nan, -1.0, np.inf])
        universe[symbol] = Bars.from_arrays(b.ts[order], *columns)
    expected = history_run(task, universe, list(universe))
    live, _, _ = step_run(task, universe, Out(json=True))
    values, mismatches, first = compare(expected, live)
    assert values > 0
    assert mismatches == 0, first
    assert sum(int(c["n_unsound"][0]) for c in expected.contexts.values()) >= 6
    assert sum(int(c["n_dropped"][0]) for c in expected.contexts.values()) >= 6


def test_every_byte_of_the_state_counts(task):
    universe, chosen, _ = load(task)
    honest = history_run(task, universe, chosen)
    symbol = chosen[0]
    for name in CONTEXT.names:
        context = honest.contexts[symbol].copy()
        raw = context[name].view(np.uint8)
        raw.reshape(-1)[0] ^= 1
        other = Seen(honest.events, {**honest.contexts, symbol: context})
        assert compare(honest, other)[1] == 1, name


def test_the_stream_sees_the_same(task):
    over = ParityTask(
        lake=task.lake,
        venue=None,
        interval="15m",
        symbols="all",
        profile=task.profile,
        feed="ws",
        restarts=1,
        reconnects=2,
        late=4,
        bars=600,
        seed=5,
    )
    found = run_parity(over, Out(json=True))
    assert found.mismatches == 0, found.first_mismatch
    assert found.extra["reconnects"] >= 2

"""The laws as plain functions: each takes a way to scan and raises AssertionError where it lies.

The tests run them on the engine; the planted mutants run them on wrong engines, which must fail.
"""

from collections.abc import Callable

import numpy as np

from engine.bars import Bars
from engine.messages import EventKind, Phase
from engine.pipeline.market import MarketSeries
from engine.pipeline.phase import CONTEXT, EVENT, EVENTS_PER_BAR, TRANSITIONS, new_contexts
from engine.pipeline.scan import scan_history, scan_newest
from tests.paths_gen import STEP_MS, chunks, columns

# (context, params, bars, symbol_id, market) -> events
Scan = Callable[..., np.ndarray]

MARKET_FIELDS = frozenset({"fall_tr", "breadth", "market_fall", "residual_share"})
PRICE_FIELDS = (
    "close", "atr", "batr", "floor", "q95", "zone_lo", "level", "level_edge", "hard_floor",
    "invalidation", "peak", "dump_atr", "levels",
)  # fmt: skip
# Where an event's phase stands before and after; silent moves between 2 and 3 excepted.
SHAPES: dict[EventKind, tuple[set[Phase], set[Phase]]] = {
    EventKind.DUMP: ({Phase.MONITORING}, {Phase.DUMP}),
    EventKind.STAB: ({Phase.DUMP, Phase.STABILIZATION}, {Phase.BASE}),
    EventKind.ARMED: ({Phase.BASE}, {Phase.ARMED}),
    EventKind.LEVEL: ({Phase.ARMED}, {Phase.ARMED}),
    EventKind.DISARM: ({Phase.ARMED}, {Phase.BASE}),
    EventKind.BREAKOUT: ({Phase.ARMED}, {Phase.BREAKOUT}),
    EventKind.REJECTED: ({Phase.ARMED}, {Phase.ARMED}),
    EventKind.INVAL: ({Phase.BASE, Phase.ARMED}, {Phase.DUMP}),
    EventKind.VREC: (
        {Phase.DUMP, Phase.STABILIZATION, Phase.BASE, Phase.ARMED},
        {Phase.MONITORING},
    ),
    EventKind.TIMEOUT: (
        {Phase.DUMP, Phase.STABILIZATION, Phase.BASE, Phase.ARMED},
        {Phase.MONITORING},
    ),
    EventKind.FAILED: ({Phase.BREAKOUT}, {Phase.BASE, Phase.MONITORING}),
    EventKind.RESET: (set(Phase), {Phase.MONITORING}),
    EventKind.COOLED: ({Phase.BREAKOUT}, {Phase.MONITORING}),
}
_SAME_BUT_SILENT = {(Phase.DUMP, Phase.STABILIZATION), (Phase.STABILIZATION, Phase.DUMP)}


def scan(
    context: np.ndarray,
    params: object,
    bars: Bars,
    symbol_id: int = 0,
    market: MarketSeries | None = None,
) -> np.ndarray:
    """Scan with the engine itself."""
    return scan_history(
        context, params, bars, symbol_id=symbol_id, interval_ms=STEP_MS, market=market
    )


def first_difference(a: np.ndarray, b: np.ndarray) -> str:
    """Name the first event and field that differ."""
    for i, (x, y) in enumerate(zip(a, b, strict=False)):
        for name in a.dtype.names or ():
            if np.asarray(x[name]).tobytes() != np.asarray(y[name]).tobytes():
                kinds = f"{EventKind(int(x['kind'])).name}/{EventKind(int(y['kind'])).name}"
                return f"row {i} ({kinds}), {name}: {x[name]!r} != {y[name]!r}"
    return f"{len(a)} against {len(b)} events"


def same(a: np.ndarray, b: np.ndarray, what: str) -> None:
    """Compare events as raw bytes."""
    assert a.tobytes() == b.tobytes(), f"{what}: {first_difference(a, b)}"


def same_context(a: np.ndarray, b: np.ndarray, what: str) -> None:
    """Compare contexts as raw bytes."""
    if a.tobytes() != b.tobytes():
        wrong = [f for f in CONTEXT.names or () if a[f].tobytes() != b[f].tobytes()]
        raise AssertionError(f"{what}: final state differs in {wrong or 'padding'}")


def check_prefix(scan: Scan, params: object, bars: Bars, k: int, **kw: object) -> None:
    """What is seen of the first k bars does not depend on those after them."""
    full = scan(new_contexts(1), params, bars, **kw)
    part = scan(new_contexts(1), params, bars.slice(0, k), **kw)
    same(part, full[: len(part)], f"prefix of {k} bars")
    if len(full) > len(part):
        assert full["t"][len(part)] > bars.ts[k - 1] + STEP_MS, "the prefix lacks an event"


def check_poison(
    scan: Scan, params: object, bars: Bars, k: int, rng: np.random.Generator, **kw: object
) -> None:
    """Garbage after bar k changes nothing up to it."""
    full = scan(new_contexts(1), params, bars, **kw)
    ts, *values = columns(bars)
    for x in values:
        x[k:] = rng.choice([np.nan, np.inf, -1.0, 0.0, 1e9, 1e-9], len(x) - k)
    poisoned = scan(new_contexts(1), params, Bars.from_arrays(ts, *values), **kw)
    until = bars.ts[k - 1] + STEP_MS
    same(full[full["t"] <= until], poisoned[poisoned["t"] <= until], f"poison after {k} bars")


def check_scale(
    scan: Scan, params: object, bars: Bars, price_power: int, volume_power: int
) -> None:
    """Powers of two in price and volume change no event. Needs a round weight of 0."""
    plain = scan(new_contexts(1), params, bars)
    ts, *prices, volume = columns(bars)
    factor, more = 2.0**price_power, 2.0**volume_power
    scaled = Bars.from_arrays(ts, *(p * factor for p in prices), volume * more)
    events = scan(new_contexts(1), params, scaled)
    for name in PRICE_FIELDS:
        events[name] /= factor
    plain["score_round"] = events["score_round"] = 0.0  # the round-number part alone knows the unit
    same(plain, events, f"prices x 2^{price_power}, volume x 2^{volume_power}")


def persisted(contexts: np.ndarray) -> np.ndarray:
    """Return contexts as they come back from disk."""
    return np.frombuffer(contexts.tobytes(), CONTEXT).copy()


def check_chunks(
    scan: Scan,
    params: object,
    bars: Bars,
    rng: np.random.Generator,
    restart: Callable[[np.ndarray], np.ndarray] = persisted,
    most: int = 12,
    **kw: object,
) -> None:
    """Any cutting of a history, with a restart at each cut, gives the same bytes."""
    whole = new_contexts(1)
    full = scan(whole, params, bars, **kw)
    context, parts = new_contexts(1), [np.zeros(0, EVENT)]
    for a, b in chunks(rng, len(bars), most):
        context = restart(context)
        parts.append(scan(context, params, bars.slice(a, b), **kw))
    same(full, np.concatenate(parts), "chunks")
    same_context(whole, context, "chunks")


def step_minutes(
    params: object,
    universe: list[Bars],
    rng: np.random.Generator,
    market: MarketSeries | None = None,
    *,
    restarts: float = 0.05,
    after_bar: Callable[[np.ndarray], None] | None = None,
) -> tuple[list[np.ndarray], np.ndarray]:
    """Feed a universe the live way: the newest bars of all coins in one call, in any order.

    Returns each coin's events and the final contexts.
    """
    contexts = new_contexts(len(universe))
    facts = [(None, None) if market is None else market.aligned(b.ts) for b in universe]
    arrays = [columns(b) for b in universe]
    out = np.zeros(EVENTS_PER_BAR * len(universe), EVENT)
    told: list[list[np.ndarray]] = [[np.zeros(0, EVENT)] for _ in universe]
    stamps = sorted({int(t) for b in universe for t in b.ts})
    at = [0] * len(universe)
    for t in stamps:
        rows = np.array(
            [i for i, b in enumerate(universe) if at[i] < len(b) and b.ts[at[i]] == t], np.int64
        )
        rng.shuffle(rows)
        bars = [np.array([arrays[i][c][at[i]] for i in rows]) for c in range(6)]
        row = (np.nan, np.nan)
        if market is not None:
            row = (facts[rows[0]][0][at[rows[0]]], facts[rows[0]][1][at[rows[0]]])
        out[:] = np.zeros(1, EVENT)[0]
        count = scan_newest(contexts, params, rows, *bars, row, interval_ms=STEP_MS, out=out)
        for event in out[:count]:
            told[int(event["symbol_id"])].append(np.array([event], EVENT))
        for i in rows:
            at[i] += 1
        if rng.random() < restarts:
            contexts = persisted(contexts)
        if after_bar is not None:
            after_bar(contexts)
    return [np.concatenate(x) for x in told], contexts


def check_step(
    scan: Scan,
    params: object,
    universe: list[Bars],
    rng: np.random.Generator,
    market: MarketSeries | None = None,
) -> None:
    """Live and history agree on every byte, in whatever order a minute's coins arrive."""
    told, contexts = step_minutes(params, universe, rng, market)
    for i, bars in enumerate(universe):
        alone = new_contexts(1)
        full = scan(alone, params, bars, symbol_id=i, market=market)
        same(full, told[i], f"coin {i}, step against batch")
        same_context(alone, contexts[i : i + 1], f"coin {i}")


def check_phases(events: np.ndarray) -> None:
    """Only legal transitions, and no phase changes between two events but 2 and 3."""
    last = Phase.MONITORING
    for e in events:
        kind = EventKind(int(e["kind"]))
        before, after = Phase(int(e["phase_before"])), Phase(int(e["phase_after"]))
        befores, afters = SHAPES[kind]
        assert before in befores, f"{kind.name} from {before.name}"
        assert after in afters, f"{kind.name} to {after.name}"
        if kind != EventKind.RESET and before != after:
            assert after in TRANSITIONS[before], f"{kind.name}: {before.name} -> {after.name}"
        assert last == before or (last, before) in _SAME_BUT_SILENT, (
            f"{kind.name}: stands in {before.name}, was last seen in {last.name}"
        )
        last = after


def check_bookkeeping(events: np.ndarray, params, bars: Bars) -> None:
    """What must be true of the numbers inside every event."""
    closes = dict(zip((bars.ts + STEP_MS).tolist(), bars.close.tolist(), strict=True))
    assert np.all(np.diff(events["t"]) >= 0), "events out of order"
    _, per_bar = np.unique(events["t"], return_counts=True)
    assert per_bar.max(initial=0) <= EVENTS_PER_BAR
    for e in events[events["kind"] != EventKind.RESET]:
        where = f"{EventKind(int(e['kind'])).name} at {int(e['bar_index'])}"
        assert e["close"] == closes[int(e["t"])], where
        for name in EVENT.names or ():
            if name not in MARKET_FIELDS and EVENT[name].base.kind == "f":
                assert np.all(np.isfinite(e[name])), f"{where}: {name} is not finite"
        opened = e["t"] - STEP_MS
        assert e["peak_t"] <= e["trough_t"] <= e["anchor_t"] <= opened, where
        assert e["hard_floor"] < e["peak"], where
        assert e["hard_floor"] <= e["floor"], where
        assert 0.0 <= e["er"] <= 1.0 + 1e-12, where
        assert e["hard_floor"] <= e["close"] or e["kind"] != EventKind.DUMP, where
        assert e["nb"] >= 1, where
        assert e["levels"][0] == e["level"], where
        assert e["levels"][5] == e["q95"], where
        assert e["levels"][7] >= min(e["floor"], e["levels"][1]), where
        assert e["params_hash"] == params.meta.params_hash, where
        assert e["drop"] >= params.dump.d_min, where
        assert 0.0 < e["contraction"] <= 1.0, where
        zone = [e[x] for x in ("level_edge", "zone_lo", "level_score", "touches", "score_touch")]
        if e["level"] > 0.0:
            assert 0.0 < e["zone_lo"] <= min(e["level_edge"], e["level"]), where
            assert e["level"] > e["hard_floor"], where
        else:
            assert not any(zone), f"{where}: facts of a level that is gone"
        _check_kind(e, params, where)


def _check_kind(e: np.void, params, where: str) -> None:
    b, a, k = params.base, params.armed, params.breakout
    if e["kind"] == EventKind.ARMED:
        assert e["close"] <= e["level"], where
        assert e["floor"] < e["q95"], where
        assert e["nb"] >= b.base_min, where
        assert e["h_atr"] >= b.height_min, where
        assert e["er"] <= b.er_max, where
        assert e["drift"] <= b.drift_max, where
        assert e["level_score"] >= a.score_min, where
        assert e["touches"] >= 1, where
        assert min(e["touches_r"], e["touches_s"]) >= a.touches_min, where
        if a.top_share > 0.0:
            line = e["floor"] + a.top_share * (e["q95"] - e["floor"])
            assert e["level"] >= line * (1.0 - 1e-12), where
    if e["kind"] in {EventKind.BREAKOUT, EventKind.REJECTED}:
        assert e["close"] > e["level"] + k.buffer_batr * e["batr"], where
        want = (
            1 * (e["body"] < k.body_min)
            | 2 * (e["clv"] < k.clv_min)
            | 4 * (e["relvol"] < k.relvol_min)
            | 8 * (e["chase_atr"] > k.chase_max_batr)
        )
        assert e["reject_mask"] == want, f"{where}: mask {e['reject_mask']}, gates say {want}"
        assert (e["kind"] == EventKind.BREAKOUT) == (want == 0), where
        assert e["attempts"] <= k.attempts_max, where
    else:
        assert e["reject_mask"] == 0, where

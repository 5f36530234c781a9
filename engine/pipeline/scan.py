"""One `step`, two drivers: a whole history, or the newest closed bars of many coins in one call."""

import numpy as np

from engine.bars import Bars
from engine.kernels._jit import kernel
from engine.kernels.candles import is_sound
from engine.pipeline.detector import DetectorParams, Feed, params_record, step
from engine.pipeline.emit import E_RESET, emit, tag
from engine.pipeline.market import MarketSeries
from engine.pipeline.phase import CONTEXT, EVENT, EVENTS_PER_BAR, P_MONITORING

_BLANK = np.zeros(1, CONTEXT)
DROP, FEED, RESET_AND_FEED, RESET_AND_DROP = 0, 1, 2, 3


@kernel
def admit(s, step_ms: int, gap_max: int, feed) -> int:
    """Judge a bar before the detector sees it; return DROP, FEED, RESET_AND_FEED or RESET_AND_DROP.

    Duplicates and older bars are dropped and counted; a bar off the grid, or one that cannot be,
    is dropped and resets; a hole resets unless it is at most ``gap_max`` bars long.
    """
    sound = is_sound(feed.o, feed.h, feed.lo, feed.c, feed.v)
    if sound and feed.t == s.last_t + step_ms:
        return FEED  # the next bar of the grid: no division on the usual path
    if s.last_t != 0 and feed.t <= s.last_t:
        s.n_dropped += 1
        return DROP
    if not sound or feed.t % step_ms != 0:
        s.n_unsound += 1
        return RESET_AND_DROP
    missing = (feed.t - s.last_t) // step_ms - 1 if s.last_t != 0 else 0
    if missing == 0:
        return FEED
    s.n_gaps += 1
    if missing <= gap_max:
        s.n += missing  # time passes, nothing else is known
        return FEED
    return RESET_AND_FEED


@kernel
def _reset(contexts, i: int, blank) -> None:
    s = contexts[i]
    kept = (s.last_t, s.n_resets, s.n_dropped, s.n_unsound, s.n_gaps)
    contexts[i] = blank[0]
    s = contexts[i]
    s.last_t, s.n_resets, s.n_dropped, s.n_unsound, s.n_gaps = kept
    s.n_resets += 1


@kernel
def _odd_bar(contexts, i: int, blank, p, feed, events, k: int, verdict: int) -> int:
    """Deal with a bar that does not simply follow: drop it, or reset first; return the events."""
    if verdict == DROP:
        return k
    s = contexts[i]
    before = max(s.phase, P_MONITORING)
    lost = s.n > 0
    _reset(contexts, i, blank)
    if lost:
        none = int(np.int64(0))
        s.phase = P_MONITORING
        k += emit(s, p, feed, (events[k], events[k]), none, tag(E_RESET, before, 0))
    # an impossible bar's time is trusted only where it was expected: no later bar is lost to it
    if verdict == RESET_AND_FEED or feed.t == s.last_t + feed.step_ms:
        s.last_t = feed.t
    if verdict == RESET_AND_FEED:
        k += step(s, p, feed, (events[k], events[k + 1]))
    return k


@kernel
def _history(contexts, blank, p, ids, ts, o, h, lo, c, v, breadth, fall, events, at, k):
    """Feed bars from ``at`` on until the events run out of room; return (next bar, events)."""
    symbol_id, step_ms = ids
    room = len(events) - EVENTS_PER_BAR
    has_market = len(breadth) == len(ts)
    gap_max = p[0].monitor.gap_max
    s = contexts[0]
    for j in range(at, len(ts)):
        if k > room:
            return j, k
        feed = Feed(
            symbol_id,
            step_ms,
            ts[j],
            o[j],
            h[j],
            lo[j],
            c[j],
            v[j],
            breadth[j] if has_market else np.nan,
            fall[j] if has_market else np.nan,
        )
        verdict = admit(s, step_ms, gap_max, feed)
        if verdict == FEED:
            s.last_t = feed.t
            k += step(s, p[0], feed, (events[k], events[k + 1]))
        else:
            k = _odd_bar(contexts, 0, blank, p[0], feed, events, k, verdict)
    return len(ts), k


@kernel
def _newest(contexts, blank, p, step_ms, rows, ts, o, h, lo, c, v, breadth, fall, events):
    k = 0
    gap_max = p[0].monitor.gap_max
    for j in range(len(rows)):
        i = rows[j]
        feed = Feed(i, step_ms, ts[j], o[j], h[j], lo[j], c[j], v[j], breadth, fall)
        # as in _history: only records on the usual path, since arrays are reference-counted a call
        s = contexts[i]
        verdict = admit(s, step_ms, gap_max, feed)
        if verdict == FEED:
            s.last_t = feed.t
            k += step(s, p[0], feed, (events[k], events[k + 1]))
        else:
            k = _odd_bar(contexts, i, blank, p[0], feed, events, k, verdict)
    return k


_NONE = np.empty(0)
_NONE.flags.writeable = False


def scan_history(
    context: np.ndarray,
    params: DetectorParams,
    bars: Bars,
    *,
    symbol_id: int,
    interval_ms: int,
    market: MarketSeries | None = None,
) -> np.ndarray:
    """Step one context through consecutive bars; any chunking gives the same bytes.

    Parameters
    ----------
    context : array of `CONTEXT`, shape (1,)
        Changed in place.
    params : DetectorParams
        One profile's parameters.
    bars : Bars
        Closed bars, ascending. Duplicates, holes and impossible bars are handled and counted.
    symbol_id : int
        Stands in the events.
    interval_ms : int
        Length of a bar.
    market : MarketSeries, optional
        Facts of the whole market; NaN in the events without it.

    Returns
    -------
    array of `EVENT`
    """
    breadth, fall = (_NONE, _NONE) if market is None else market.aligned(bars.ts)
    events = np.zeros(max(64, len(bars) // 100), EVENT)
    at, k = 0, 0
    series = (bars.ts, bars.open, bars.high, bars.low, bars.close, bars.volume, breadth, fall)
    ids = (symbol_id, interval_ms)
    record = params_record(params)
    while True:
        at, k = _history(context, _BLANK, record, ids, *series, events, at, k)
        if at == len(bars):
            return events[:k]
        events = np.concatenate([events, np.zeros(len(events), EVENT)])


def scan_newest(
    contexts: np.ndarray,
    params: DetectorParams,
    rows: np.ndarray,
    ts: np.ndarray,
    open_: np.ndarray,
    high: np.ndarray,
    low: np.ndarray,
    close: np.ndarray,
    volume: np.ndarray,
    market_row: tuple[float, float],
    *,
    interval_ms: int,
    out: np.ndarray,
) -> int:
    """Step many contexts by one closed bar each, in one compiled call.

    Parameters
    ----------
    contexts : array of `CONTEXT`, shape (n_symbols,)
        Changed in place; the row number is the event's ``symbol_id``.
    params : DetectorParams
        One profile's parameters.
    rows : int64[m]
        Which contexts the bars belong to.
    ts, open_, high, low, close, volume : arrays [m]
        The bars.
    market_row : (float, float)
        Breadth and median fall for these bars.
    interval_ms : int
        Length of a bar.
    out : array of `EVENT`
        Zeroed, with room for ``EVENTS_PER_BAR * m``.

    Returns
    -------
    int
        Events written to ``out``.
    """
    if len(out) < EVENTS_PER_BAR * len(rows):
        raise ValueError(f"out has room for {len(out)} events, {len(rows)} bars may need more")
    breadth, fall = market_row
    bars = (rows, ts, open_, high, low, close, volume)
    return _newest(contexts, _BLANK, params_record(params), interval_ms, *bars, breadth, fall, out)

"""The world of `exactly_once`: a short market that moves, and the faults drawn against a run."""

from typing import Any

import numpy as np

from app.proofs import simloop
from engine.bars import Bars
from engine.venue.replay import Replay
from live.venues.bybit.faults import Fault

SYMBOLS = ("AAAUSDT", "BBBUSDT")
MINUTES = 12
_MINUTE_MS = 60_000


def market(rng: np.random.Generator) -> Replay:
    """Draw a short market of two coins that moves enough to fill and to stop."""
    bars = {}
    ts = simloop.START_MS - simloop.START_MS % _MINUTE_MS + _MINUTE_MS * np.arange(MINUTES)
    for symbol, start in zip(SYMBOLS, (100.0, 2.5), strict=True):
        path = start * np.exp(np.cumsum(rng.normal(0.0, 0.004, MINUTES + 1)))
        o, c = np.round(path[:-1], 3), np.round(path[1:], 3)
        h = np.round(np.maximum(o, c) * (1 + np.abs(rng.normal(0.0, 0.002, MINUTES))), 3)
        lo = np.round(np.minimum(o, c) * (1 - np.abs(rng.normal(0.0, 0.002, MINUTES))), 3)
        volume = rng.uniform(1e4, 1e5, MINUTES)
        bars[symbol] = Bars.from_arrays(ts, o, h, lo, c, volume, volume * c)
    return Replay(_MINUTE_MS, bars)


# Each: how often it may fire in a run, with what chance at an occasion, and what it needs.
MENU: tuple[tuple[str, int, float, dict[str, Any]], ...] = (
    ("lost_request", 3, 0.25, {}),
    ("lost_reply", 3, 0.25, {}),
    ("lost_reply", 2, 0.6, {"endpoint": "/v5/order/*"}),
    ("lost_reply", 2, 0.6, {"endpoint": "order.*"}),
    ("slow", 3, 0.25, {"ms": 7_000}),
    ("late_reply", 3, 0.25, {"ms": 8_000}),
    ("error", 3, 0.25, {"code": 10000}),
    ("error", 3, 0.25, {"code": 10016}),
    ("error_after", 3, 0.3, {"code": 10000}),
    ("error_after", 3, 0.3, {"code": 10016}),
    ("throttle", 4, 0.3, {"header": "present", "ms": 400}),
    ("throttle", 3, 0.3, {"header": "past", "ms": 400}),
    ("throttle", 3, 0.3, {"header": "absent"}),
    ("http", 3, 0.25, {"status": 502}),
    ("http_after", 3, 0.3, {"status": 502}),
    ("html", 3, 0.25, {}),
    ("html_after", 3, 0.3, {}),
    ("truncated", 3, 0.3, {}),
    ("skew", 2, 0.2, {"ms": 60_000}),
    ("skew", 2, 0.2, {"ms": -3_000}),
    ("ban", 1, 0.03, {"ms": 20_000}),
    ("stop_rejected", 1, 0.3, {}),
    ("stale", 6, 0.4, {"ms": 4_000}),
    ("push_drop", 3, 0.2, {}),
    ("push_duplicate", 6, 0.3, {}),
    ("push_late", 5, 0.3, {"ms": 3_000}),
    ("push_permute", 8, 0.6, {}),
    ("push_malformed", 2, 0.15, {}),
    ("stream_stall", 1, 0.1, {}),
    ("stream_mute", 1, 0.1, {}),
    ("stream_close", 2, 0.15, {}),
    ("stream_abort", 2, 0.15, {}),
    ("refuse_connect", 1, 0.5, {"ms": 15_000}),
    ("refuse_auth", 1, 0.5, {}),
    ("refuse_subscribe", 1, 0.5, {}),
    ("max_active", 1, 0.5, {"ms": 30_000}),
    ("partial_cancel", 2, 0.3, {}),
    ("liquidate", 1, 0.1, {}),
    ("deleverage", 1, 0.1, {}),
    ("reduce_only", 1, 0.1, {}),
    ("human", 1, 0.15, {"action": "cancel_orders"}),
    ("human", 1, 0.15, {"action": "remove_stop"}),
    ("human", 1, 0.15, {"action": "close"}),
    ("human", 1, 0.15, {"action": "resize"}),
    ("human", 1, 0.15, {"action": "move_stop"}),
    ("human", 1, 0.15, {"action": "set_leverage"}),
    ("human", 1, 0.15, {"action": "switch_mode"}),
    ("human", 1, 0.15, {"action": "withdraw"}),
    ("human", 1, 0.15, {"action": "deposit"}),
    ("human", 1, 0.15, {"action": "open"}),
    ("expire_key", 1, 0.1, {}),  # and given back at the end
    ("thin_book", 2, 0.4, {}),
    ("child_late", 2, 0.4, {"ms": 3_000}),
    ("double_filled", 2, 0.4, {}),
    ("delist", 1, 0.1, {}),
    ("funding", 1, 0.2, {}),
    ("wipe_closed", 2, 0.2, {}),
)

# Faults that are worst together: answers lost while the lists lag and the stream is silent, and
# streams that come back only to be refused.
SCENES: tuple[tuple[tuple[str, int, float, dict[str, Any]], ...], ...] = (
    (
        ("lost_reply", 8, 0.8, {"endpoint": "/v5/order/create"}),
        ("lost_reply", 8, 0.8, {"endpoint": "order.create"}),
        ("stale", 200, 1.0, {"ms": 14_000}),
        ("push_late", 200, 1.0, {"ms": 12_000}),
    ),
    (
        ("late_reply", 8, 0.8, {"endpoint": "/v5/order/create", "ms": 8_000}),
        ("lost_request", 8, 0.5, {"endpoint": "order.create"}),
        ("stale", 200, 1.0, {"ms": 9_000}),
        ("stream_mute", 2, 1.0, {}),
    ),
    (
        ("stream_close", 6, 0.5, {}),
        ("refuse_subscribe", 2, 0.7, {}),
        ("refuse_auth", 1, 0.5, {}),
        ("refuse_connect", 1, 0.5, {"ms": 5_000}),
        ("push_drop", 4, 0.5, {}),
    ),
)
BY_HAND = ("close", "resize", "open")  # acts of a person that make orders of their own
SCENE_SHARE = 0.15  # of the runs; the rest draw faults one by one


def draw_menu(rng: np.random.Generator) -> list[Fault]:
    """Draw a run's faults: some kinds, armed at different moments, or a scene from the start."""
    if rng.random() < SCENE_SHARE:
        scene = SCENES[int(rng.integers(len(SCENES)))]
        return [_fault(kind, count, chance, 0, needs) for kind, count, chance, needs in scene]
    chosen = rng.choice(len(MENU), size=int(rng.integers(3, 12)), replace=False)
    faults = []
    for index in sorted(int(i) for i in chosen):
        kind, count, probability, needs = MENU[index]
        after_ms = int(rng.integers(0, 20_000))
        faults.append(_fault(kind, int(rng.integers(1, count + 1)), probability, after_ms, needs))
    return faults


def _fault(kind: Any, count: int, chance: float, after_ms: int, needs: dict[str, Any]) -> Fault:
    at = simloop.START_MS + after_ms
    return Fault(kind=kind, count=count, probability=chance, at=at, **needs)

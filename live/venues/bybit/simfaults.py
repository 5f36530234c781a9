"""Which scripted fault strikes now: one plan, asked by every face of the simulated venue. Pure.

A fault names its occasion by its kind; `account`, `endpoint`, `topic` and `stream` narrow it. It
lets `nth - 1` occasions pass and then fires `count` times, each time with `probability`, drawn from
a generator of its own: what one fault does never changes when another is added or asked.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from live.venues.bybit.faults import Fault

BEFORE = frozenset(
    {
        "lost_request",
        "slow",
        "error",
        "throttle",
        "http",
        "html",
        "skew",
        "ban",
        "stop_rejected",
        "thin_book",
        "stale",
    }
)
AFTER = frozenset(
    {"lost_reply", "late_reply", "error_after", "http_after", "html_after", "truncated"}
)
PUSH = frozenset({"push_drop", "push_duplicate", "push_late", "push_malformed"})
FILLED = frozenset({"double_filled"})
CHILD = frozenset({"child_late"})
MOMENT = frozenset({"push_permute"})
STREAM = frozenset({"stream_stall", "stream_mute", "stream_close", "stream_abort"})
CONNECT = frozenset({"refuse_connect", "max_active"})
ACT = frozenset(
    {
        "partial_cancel",
        "liquidate",
        "deleverage",
        "reduce_only",
        "delist",
        "funding",
        "human",
        "expire_key",
        "wipe_closed",
    }
)
BOOK = frozenset({"resnapshot", "skip_u", "repeat_snapshot", "cross_book"})
TICKER = frozenset({"ticker_stall"})
PLANNED = (
    BEFORE
    | AFTER
    | PUSH
    | FILLED
    | CHILD
    | MOMENT
    | STREAM
    | CONNECT
    | ACT
    | BOOK
    | TICKER
    | {"refuse_auth", "refuse_subscribe", "rest"}
)
_STOP_PARAMS = ("triggerPrice", "stopLoss", "takeProfit", "trailingStop")


class _Rule:
    """A fault and how far it has come."""

    __slots__ = ("fault", "left", "passed", "rng")

    def __init__(self, fault: Fault, rng: np.random.Generator) -> None:
        self.fault = fault
        self.left = fault.count
        self.passed = 0
        self.rng = rng

    def strikes(self) -> bool:
        """Count an occasion and tell whether it is struck."""
        self.passed += 1
        if self.passed < self.fault.nth:
            return False
        return self.fault.probability >= 1.0 or float(self.rng.random()) < self.fault.probability


class FaultPlan:
    """All faults that wait, and how often each kind has fired.

    Parameters
    ----------
    seed : int
    faults : iterable of Fault
        Kinds that belong to the public candles' bars are left to the hub.
    fired : dict, optional
        Counts to write to, kind to number.
    """

    def __init__(
        self, seed: int = 0, faults: Iterable[Fault] = (), fired: dict[str, int] | None = None
    ) -> None:
        self.seed = seed
        self.fired: dict[str, int] = defaultdict(int) if fired is None else fired
        self._rules: list[_Rule] = []
        self._added = 0
        self.add(faults)

    def add(self, faults: Iterable[Fault]) -> None:
        """Arm faults; those of other kinds are not taken."""
        for fault in faults:
            self._added += 1
            if fault.kind in PLANNED:
                rng = np.random.default_rng([self.seed, self._added])
                self._rules.append(_Rule(fault, rng))

    def clear(self) -> None:
        """Disarm everything; the counts stay."""
        self._rules.clear()

    @property
    def waiting(self) -> int:
        """How many times faults may still fire."""
        return sum(rule.left for rule in self._rules)

    def draw(
        self,
        kinds: Iterable[str],
        *,
        account: tuple[str, ...] = (),
        endpoint: str = "",
        topic: str = "",
        stream: str = "",
        params: Mapping[str, Any] | None = None,
        now_ms: int = 0,
    ) -> Fault | None:
        """Return the fault that strikes this occasion, and count it.

        Parameters
        ----------
        kinds : iterable of str
            What could happen here.
        account : tuple of str
            Every name of the user concerned: key, id.
        params : mapping, optional
            Of the request; a `stop_rejected` strikes only one that carries a stop, a `thin_book`
            only an order that may take at once.
        """
        struck: _Rule | None = None
        for rule in self._rules:
            fault = rule.fault
            if (
                fault.kind not in kinds
                or (fault.account and fault.account not in account)
                or not _names(fault.endpoint, endpoint)
                or (fault.topic and fault.topic != topic)
                or (fault.stream and stream and fault.stream != stream)
                or fault.at > now_ms
                or (fault.kind == "stop_rejected" and not _has_stop(params))
                or (fault.kind == "thin_book" and not _takes(endpoint, params))
            ):
                continue
            # Everyone counts the occasion; the first to strike has it, the others may the next.
            if rule.strikes() and struck is None:
                struck = rule
        if struck is None:
            return None
        struck.left -= 1
        if struck.left <= 0:
            self._rules.remove(struck)
        self.fired[struck.fault.kind] += 1
        if struck.fault.action:
            self.fired[f"{struck.fault.kind}:{struck.fault.action}"] += 1
        return struck.fault


def _names(pattern: str, endpoint: str) -> bool:
    if pattern.endswith("*"):
        return endpoint.startswith(pattern[:-1])
    return pattern in ("", endpoint)


def _has_stop(params: Mapping[str, Any] | None) -> bool:
    return params is not None and any(params.get(n) not in (None, "", "0") for n in _STOP_PARAMS)


def _takes(endpoint: str, params: Mapping[str, Any] | None) -> bool:
    if params is None or not endpoint.endswith("create"):
        return False
    rests = params.get("timeInForce") == "PostOnly" or params.get("triggerPrice")
    return bool(params.get("side")) and not rests

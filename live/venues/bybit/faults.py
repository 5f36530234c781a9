"""Scripted misbehaviour of the simulated stream: what happens, to whom, at which bar. Pure."""

from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from typing import Literal

import msgspec
import numpy as np

from engine.errors import DataError
from engine.venue.replay import Replay

Kind = Literal[
    "close",  # the server sends a close frame
    "abort",  # the TCP connection is reset
    "stall",  # half-open: nothing comes any more, pings are answered
    "mute",  # half-open: nothing comes any more, pings are not answered
    "drop",  # a confirmed candle is never sent
    "late",  # a confirmed candle is sent `bars` bars later
    "duplicate",  # a confirmed candle is sent twice
    "malformed",  # a frame that is not JSON comes before the candle
    "refuse",  # subscribing this symbol is refused, `count` times
    "turn_away",  # the next `count` connections are refused
    "rest",  # the next `count` requests fail with `status` (HTTP) or `code` (retCode)
    "random",  # drawn by seed: `count` faults of the kind named in `draw`, spread over all bars
    # --- a request, by HTTP or by the order-entry stream
    "lost_request",  # the connection drops before the venue has seen it
    "lost_reply",  # done, and the connection drops before the answer
    "slow",  # waits `ms` before it is looked at
    "late_reply",  # done, answered after `ms`
    "error",  # refused with `code`, nothing done (10000, 10016, ...)
    "error_after",  # done, and yet answered with `code`
    "throttle",  # 10006; `header` = present | past | absent
    "http",  # HTTP `status` with a page, nothing done
    "http_after",  # done, and yet HTTP `status` with a page
    "html",  # a page under HTTP 200, nothing done
    "html_after",  # done, and a page under HTTP 200
    "truncated",  # done, the answer cut in the middle
    "skew",  # the venue's clock reads `ms` more for this request
    "ban",  # the address is locked out (HTTP 403) for `ms`
    "stop_rejected",  # an order or a change that carries a stop is refused with `code` (110093)
    "thin_book",  # the book holds no more than `value` (0 to 1) of what an order wants (0.5)
    "stale",  # history and realtime do not know the last `ms` yet
    # --- a private or order-entry stream
    "push_drop",  # a message is never sent
    "push_duplicate",  # a message is sent twice
    "push_late",  # a message is sent `ms` later
    "child_late",  # a TP/SL of an order is told, and listed as open, `ms` after its parent's fill
    "push_permute",  # the messages of one moment come in any order, within topics too
    "double_filled",  # a cancel raced the fill: Filled comes twice, the second as CancelByUser
    "push_malformed",  # a frame that is not JSON comes before the message
    "stream_stall",  # half-open: pings are answered, nothing else comes
    "stream_mute",  # half-open: nothing comes, pings are not answered
    "stream_close",  # a close frame
    "stream_abort",  # a TCP reset
    "refuse_connect",  # new connections of streams are refused for `ms` (0: `count` of them)
    "refuse_auth",  # a good signature is refused
    "refuse_subscribe",  # a private subscription is refused
    "max_active",  # the connection is cut `ms` after it came
    # --- what happens at the venue
    "partial_cancel",  # a resting order is filled in part and cancelled by the venue
    "liquidate",  # the mark price runs through a position's liquidation price
    "deleverage",  # a position is cut by ADL
    "reduce_only",  # the venue cuts a risk limit: the position may only shrink
    "delist",  # a contract's life ends: `value` Delivering, then Closed
    "funding",  # a contract's funding comes every `value` minutes (60) from now on
    "human",  # somebody acts at the venue: `action`
    "expire_key",  # the key that asks is expired from now on
    "wipe_closed",  # the closed orders that realtime remembers are lost
    "resnapshot",  # the service restarts: order books begin anew with u = 1
    "repeat_snapshot",  # an order book's snapshot comes again, with the u it had
    "skip_u",  # an order book's update is lost
    "cross_book",  # an order book's best prices are told crossed, until the next update
    "ticker_stall",  # a ticker says nothing for `ms`, though it changes
]
HUMAN_ACTIONS = (
    "close",
    "resize",
    "move_stop",
    "remove_stop",
    "switch_mode",
    "set_leverage",
    "cancel_orders",
    "withdraw",
    "deposit",
    "delete_key",
    "open",
)
_PER_SYMBOL = frozenset({"drop", "late", "duplicate", "malformed", "refuse"})
_AT_A_BAR = frozenset({"close", "abort", "stall", "mute", "drop", "late", "duplicate", "malformed"})


class Fault(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One misbehaviour.

    ``at`` is the open time of the bar at whose close it happens, ms (0 = the next bar). For
    ``close`` and ``abort``, ``bars`` is how many bars pass unheard before anyone may connect again.
    """

    kind: Kind
    at: int = 0
    symbol: str = ""
    bars: int = 1
    count: int = 1
    status: int = 0
    code: int = 0
    draw: str = ""
    # --- for whom, where and how often
    account: str = ""  # an API key, or a user id; "" = anyone
    endpoint: str = ""  # a path or an operation; ending in * = how it begins; "" = any
    topic: str = ""  # one topic; "" = any
    stream: str = ""  # private | trade | public (inside the process); "" = any
    nth: int = 0  # begin at the n-th occasion (0 and 1: the first)
    probability: float = 1.0  # of firing at an occasion, by the plan's seed
    ms: int = 0
    header: str = "present"
    message: str = ""
    action: str = ""
    value: str = ""  # of the action: a price, a share, an amount

    def __post_init__(self) -> None:
        if self.kind in _PER_SYMBOL and not self.symbol:
            raise ValueError(f"a {self.kind} fault needs a symbol")
        if self.bars < 0 or self.count < 1:
            raise ValueError(
                f"a {self.kind} fault cannot have bars {self.bars}, count {self.count}"
            )
        if not 0.0 <= self.probability <= 1.0 or self.nth < 0:
            raise ValueError(
                f"a {self.kind} fault cannot have probability {self.probability}, nth {self.nth}"
            )
        if self.header not in {"present", "past", "absent"}:
            raise ValueError(f"header {self.header!r} is none of present, past, absent")
        if self.kind == "delist" and self.value not in ("", "Delivering", "Closed"):
            raise ValueError(f"value {self.value!r} is none of Delivering, Closed")
        if self.kind == "thin_book" and not _is_share(self.value):
            raise ValueError(f"value {self.value!r} is no share, 0 to 1")
        if self.kind == "funding" and not (self.value or "60").isdecimal():
            raise ValueError(f"value {self.value!r} is no number of minutes")
        if self.kind == "human" and self.action not in HUMAN_ACTIONS:
            raise ValueError(f"action {self.action!r} is none of {', '.join(HUMAN_ACTIONS)}")

    @property
    def share(self) -> Decimal:
        """What part of an order the book holds, of a `thin_book`."""
        return Decimal(self.value or "0.5")

    @property
    def at_a_bar(self) -> bool:
        """Tell whether it waits for a bar (or lies in wait for a request)."""
        return self.kind in _AT_A_BAR


def _is_share(text: str) -> bool:
    try:
        return 0 <= Decimal(text or "0.5") <= 1
    except InvalidOperation:  # no number, or one that compares with none
        return False


def read_faults(raw: bytes) -> list[Fault]:
    """Read a JSON list of faults (or one).

    Raises
    ------
    DataError
        Naming what is wrong in which entry.
    """
    try:
        return msgspec.json.decode(raw, type=list[Fault])
    except (msgspec.DecodeError, RecursionError, UnicodeError) as first:
        try:
            return [msgspec.json.decode(raw, type=Fault)]
        except (msgspec.DecodeError, RecursionError, UnicodeError):
            raise DataError("the list of faults cannot be read", why=str(first)) from None


def draw_faults(faults: Sequence[Fault], replay: Replay, seed: int) -> list[Fault]:
    """Replace every ``random`` fault by as many drawn ones; the rest stays as it is."""
    rng = np.random.default_rng(seed)
    minutes = range(replay.first, replay.last + 1, replay.interval_ms)
    out: list[Fault] = []
    for fault in faults:
        if fault.kind != "random":
            out.append(fault)
            continue
        amounts = {f"{fault.draw}s": fault.count}
        if fault.draw not in {"disconnect", "drop", "late", "duplicate"}:
            raise DataError(
                f"a random fault cannot draw {fault.draw!r}",
                hint="disconnect, drop, late or duplicate",
            )
        out += plan_faults(rng, list(replay.bars), minutes, **amounts)
    return out


def plan_faults(
    rng: np.random.Generator,
    symbols: Sequence[str],
    minutes: Sequence[int],
    *,
    disconnects: int = 0,
    drops: int = 0,
    lates: int = 0,
    duplicates: int = 0,
) -> list[Fault]:
    """Draw a fault plan: so many of each kind, spread over bars and symbols.

    Parameters
    ----------
    rng : numpy.random.Generator
    symbols : sequence of str
        Whose candles suffer.
    minutes : sequence of int
        Open times of the bars to choose from, ms.
    disconnects, drops, lates, duplicates : int
        How many; a disconnect is a close frame or a reset by turns, 0 to 3 bars long.
    """
    plan: list[Fault] = []

    def bar() -> int:
        return int(minutes[int(rng.integers(len(minutes)))])

    def who() -> str:
        return symbols[int(rng.integers(len(symbols)))]

    stamps = rng.choice(len(minutes), size=min(disconnects, len(minutes)), replace=False)
    for i, at in enumerate(sorted(int(x) for x in stamps)):
        kind: Kind = "close" if i % 2 else "abort"
        plan.append(Fault(kind, at=int(minutes[at]), bars=int(rng.integers(0, 4))))
    plan += [Fault("drop", at=bar(), symbol=who()) for _ in range(drops)]
    plan += [
        Fault("late", at=bar(), symbol=who(), bars=int(rng.integers(1, 4))) for _ in range(lates)
    ]
    plan += [Fault("duplicate", at=bar(), symbol=who()) for _ in range(duplicates)]
    return plan

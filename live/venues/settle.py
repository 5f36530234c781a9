"""Orders placed exactly once: what is unknown stays unknown until the venue itself has spoken.

`place_surely` sends an order under one id, however often, until the venue has said yes or no, or
the wish is stale. The id is the caller's, derived and stored before the first send. An `Unknown` is
never sent again before a lookup has proven that it is not there.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from engine.venue.reports import OrderReport
from live.clock import Clock
from live.venues.trading import (
    Absent,
    Accepted,
    Found,
    NewOrder,
    OrderChange,
    PlaceOutcome,
    Priority,
    Refused,
    TradingVenue,
    Unknown,
)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait between looks and sends, seconds."""

    look_s: float = 1.5  # the sweep of unknown orders
    look_max_s: float = 10.0  # a look that keeps failing slows down to this
    resend_s: float = 0.25  # after a refusal that allows the same id again


@dataclass(frozen=True, slots=True)
class Placed:
    """The venue has the order (its last word on it, where a lookup brought it)."""

    order_id: str
    order_link_id: str
    order: OrderReport | None = None
    looks: int = 0
    sends: int = 1


@dataclass(frozen=True, slots=True)
class NotPlaced:
    """The venue has no such order and gets none from us: refused, or stale before it was in."""

    order_link_id: str
    code: int  # 0 = stale
    message: str
    looks: int = 0
    sends: int = 0


Settled = Placed | NotPlaced
Heard = Callable[[str], OrderReport | None]  # by link id: what a stream has said of it


def unheard(_order_link_id: str) -> OrderReport | None:
    """Stand in where no stream listens."""
    return None


async def settle(
    venue: TradingVenue,
    symbol: str,
    unknown: Unknown,
    clock: Clock,
    *,
    heard: Heard = unheard,
    patience: Patience = Patience(),
) -> tuple[Found | Absent, int]:
    """Ask until the venue has said whether it has the order; returns its word and how many looks.

    Never gives up: an order that may exist is a position that may open.
    """
    looks = 0
    wait_s = patience.look_s
    while True:
        told = heard(unknown.order_link_id)
        if told is not None:
            return Found(told), looks
        looks += 1
        outcome = await venue.look_up(symbol, unknown.order_link_id, sent_ms=unknown.sent_ms)
        if isinstance(outcome, Found | Absent):
            return outcome, looks
        await clock.sleep(wait_s)
        wait_s = min(wait_s * 1.5, patience.look_max_s)


async def place_surely(
    venue: TradingVenue,
    order: NewOrder,
    clock: Clock,
    *,
    expires_ms: int,
    priority: Priority = Priority.ENTRY,
    heard: Heard = unheard,
    patience: Patience = Patience(),
) -> Settled:
    """Place an order exactly once, or prove that it is not there.

    Parameters
    ----------
    order : NewOrder
        Its `order_link_id` was stored before this call; every send carries the same one.
    expires_ms : int
        On the clock: after it nothing is sent (again); what was sent is still settled.
    heard : callable
        What the private stream has said of a link id.
    """
    sends = looks = 0
    link = order.order_link_id
    last = Refused(0, "stale before it was sent")
    doubt: Unknown | None = None  # a refusal that a server under load gave may be none

    async def proven(unknown: Unknown) -> Found | Absent:
        nonlocal looks
        word, more = await settle(
            venue, order.symbol, unknown, clock, heard=heard, patience=patience
        )
        looks += more
        return word

    while clock.now_ms() < expires_ms:
        outcome: PlaceOutcome = await venue.place(order, priority=priority)
        sends += 1
        if isinstance(outcome, Accepted):
            return Placed(outcome.order_id, link, None, looks, sends)
        if isinstance(outcome, Unknown):
            word = await proven(outcome)
            if isinstance(word, Found):
                return Placed(word.order.order_id, link, word.order, looks, sends)
            doubt = None
            last = Refused(0, f"proven absent after {outcome.reason}")
            continue
        last = outcome
        if outcome.doubtful_ms is not None:
            doubt = Unknown(link, outcome.message, outcome.doubtful_ms)
        if outcome.retry_after_s is None:
            break
        await clock.sleep(max(outcome.retry_after_s, patience.resend_s))
    word = await proven(doubt) if doubt is not None else None
    if isinstance(word, Found):
        return Placed(word.order.order_id, link, word.order, looks, sends)
    return NotPlaced(link, last.code, last.message, looks, sends)


async def amend_surely(
    venue: TradingVenue,
    change: OrderChange,
    clock: Clock,
    *,
    expires_ms: int,
    priority: Priority = Priority.PROTECT,
    patience: Patience = Patience(),
) -> PlaceOutcome:
    """Change an order until the venue has taken it or refused it.

    New values are absolute, so the same change sent twice is the change once: an unknown one is
    sent again, and "not modified" counts as taken. "No such order" is believed once lookups have
    proven it.
    """

    def send():
        return venue.amend(change, priority=priority)

    while True:
        outcome = await _again(send, clock, expires_ms, patience)
        link = change.order_link_id
        if not isinstance(outcome, Refused) or outcome.doubtful_ms is None:
            return outcome
        asked = Unknown(link, outcome.message, outcome.doubtful_ms)
        if not link:
            return asked
        word, _ = await settle(venue, change.symbol, asked, clock, patience=patience)
        if isinstance(word, Absent):
            return replace(outcome, doubtful_ms=None)
        if _has(word.order, change):
            return Accepted(word.order.order_id, link, already=True, order=word.order)
        if not word.order.is_open or clock.now_ms() >= expires_ms:
            return replace(outcome, doubtful_ms=None, order=word.order)


def _has(order: OrderReport, change: OrderChange) -> bool:
    """Tell whether an order stands as a change wants it."""
    wanted = (
        (change.qty, order.qty),
        (change.price, order.price),
        (change.trigger_price, order.trigger_price),
        (change.take_profit, order.take_profit),
        (change.stop_loss, order.stop_loss),
    )
    return order.is_open and all(new is None or new == (old or 0) for new, old in wanted)


async def cancel_surely(
    venue: TradingVenue,
    symbol: str,
    order_link_id: str,
    clock: Clock,
    *,
    expires_ms: int,
    priority: Priority = Priority.PROTECT,
    patience: Patience = Patience(),
) -> PlaceOutcome:
    """Cancel an order until the venue has taken the cancel or says the order has ended.

    A cancel twice is a cancel once: an unknown one is sent again. "No such order" is believed once
    lookups have proven it: the order may just not be listed yet, and would go on working.
    """

    def send():
        return venue.cancel(symbol, order_link_id=order_link_id, priority=priority)

    while True:
        outcome = await _again(send, clock, expires_ms, patience)
        if not isinstance(outcome, Refused) or outcome.doubtful_ms is None:
            return outcome
        asked = Unknown(order_link_id, outcome.message, outcome.doubtful_ms)
        word, _ = await settle(venue, symbol, asked, clock, patience=patience)
        if isinstance(word, Absent):
            return replace(outcome, doubtful_ms=None)
        if not word.order.is_open:
            return Accepted(word.order.order_id, order_link_id, already=True, order=word.order)
        if clock.now_ms() >= expires_ms:
            return replace(outcome, order=word.order)


async def _again(send, clock: Clock, expires_ms: int, patience: Patience) -> PlaceOutcome:
    """Send until there is a yes or a no. A no after an Unknown speaks of the last send only."""
    unsure_ms: int | None = None
    while True:
        outcome: PlaceOutcome = await send()
        if isinstance(outcome, Accepted):
            return outcome
        wait_s = patience.look_s
        if isinstance(outcome, Unknown):
            unsure_ms = outcome.sent_ms
        else:
            if outcome.doubtful_ms is None and unsure_ms is not None:
                outcome = replace(outcome, doubtful_ms=unsure_ms)
            if outcome.retry_after_s is None:
                return outcome
            wait_s = max(outcome.retry_after_s, patience.resend_s)
        if clock.now_ms() >= expires_ms:
            return outcome
        await clock.sleep(wait_s)

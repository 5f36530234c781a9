"""Cases 59 to 76: what is certain when answers, streams, keys or clocks fail."""

import asyncio
from collections.abc import Callable
from decimal import Decimal

from app.proofs.contract.bench import LATER, NOW, Bench
from app.proofs.contract.case import Need, case, equal, hold, kind_of
from app.proofs.contract.parts import Client
from live.clock import Alarm, Clock
from live.venues.port import Ok
from live.venues.resync import Resynced, resync
from live.venues.settle import NotPlaced, Placed, cancel_surely, place_surely
from live.venues.trading import (
    Absent,
    Accepted,
    Found,
    OrderChange,
    Refused,
    StreamDown,
    Undecided,
    Unknown,
)

D = Decimal
CREATE = "/v5/order/create"


@case(59, "a look-up finds open, closed and filled orders by either id", "0.2, 3.4, S5", Need.MONEY)
async def looked_up(b: Bench) -> None:
    link = await b.rest()
    sent = b.client.gate.venue_clock.now_ms()
    found = kind_of(await b.venue.look_up(b.symbol, link, sent_ms=sent), Found, "open")
    equal(found.order.order_link_id, link, "which")
    await b.venue.cancel(b.symbol, order_link_id=link, priority=NOW)
    await b.until_order(link, "Cancelled")
    found = kind_of(await b.venue.look_up(b.symbol, link, sent_ms=sent), Found, "cancelled")
    equal(found.order.order_status, "Cancelled", "how it ended")
    filled = await b.place(b.order("Buy", b.size(await b.last())))
    order = await b.until_order(filled, "Filled")
    by_id = await b.venue.look_up(b.symbol, "", order_id=order.order_id, sent_ms=sent)
    equal(kind_of(by_id, Found, "by the venue's id").order.order_link_id, filled, "which")


@case(60, "an order that never was is absent only after two late looks", "0.2, 10.2")
async def absent(b: Bench) -> None:
    link, sent = b.link(), b.client.gate.venue_clock.now_ms()
    kind_of(await b.venue.look_up(b.symbol, link, sent_ms=sent), Undecided, "at once")
    await b.wait(32.0)
    kind_of(await b.venue.look_up(b.symbol, link, sent_ms=sent), Undecided, "the first late look")
    await b.wait(6.0)
    kind_of(await b.venue.look_up(b.symbol, link, sent_ms=sent), Absent, "the second")


@case(
    61,
    "an answer lost after the order got in: unknown, found, adopted",
    "0.2, 7.3, W24",
    Need.FAULTS,
)
async def reply_lost(b: Bench) -> None:
    price = await b.far("Buy")
    for kind in ("lost_reply", "html_after", "error_after"):
        b.controls.arm(kind, endpoint=CREATE, code=10016)
        order = b.order("Buy", b.size(price), price)
        lost = kind_of(await b.venue.place(order, priority=LATER), Unknown, kind)
        equal(lost.order_link_id, order.order_link_id, "what is unknown")
        found = await b.venue.look_up(b.symbol, order.order_link_id, sent_ms=lost.sent_ms)
        kind_of(found, Found, kind)
        again = kind_of(await b.venue.place(order, priority=LATER), Accepted, "sent again")
        hold(again.already, "adopted")
    equal(len(await b.orders()), 3, "open orders")


@case(62, "an order lost on its way is settled: placed once, or proven absent", "0.2", Need.FAULTS)
async def request_lost(b: Bench) -> None:
    price = await b.far("Buy")
    b.controls.arm("lost_request", endpoint=CREATE)
    order = b.order("Buy", b.size(price), price)
    lost = kind_of(await b.venue.place(order, priority=LATER), Unknown, "lost")
    kind_of(
        await b.venue.look_up(b.symbol, order.order_link_id, sent_ms=lost.sent_ms),
        Undecided, "too early to say",
    )  # fmt: skip
    b.controls.arm("error_after", endpoint=CREATE, code=10000)
    sure = b.order("Buy", b.size(price), price)
    expires = b.clock.now_ms() + 5_000
    settled = await place_surely(b.venue, sure, b.clock, expires_ms=expires, heard=b.view.by_link)
    kind_of(settled, Placed, "settled")
    equal([o.order_link_id for o in await b.orders()], [sure.order_link_id], "open orders")
    stale = await place_surely(b.venue, b.order("Buy", D(1), price), b.clock, expires_ms=0)
    kind_of(stale, NotPlaced, "one that is stale before it is sent")


@case(63, "a cancel and a change whose answers are lost are carried out once", "0.1", Need.FAULTS)
async def acts_lost(b: Bench) -> None:
    link = await b.rest()
    price = ((await b.until_order(link)).price or D(0)) - b.rules.tick_size
    b.controls.arm("lost_reply", endpoint="/v5/order/amend")
    change = OrderChange(symbol=b.symbol, order_link_id=link, price=price)
    kind_of(await b.venue.amend(change, priority=LATER), Unknown, "change")
    again = kind_of(await b.venue.amend(change, priority=LATER), Accepted, "the change again")
    hold(again.already, "it stood already")
    b.controls.arm("lost_reply", endpoint="/v5/order/cancel")
    expires = b.clock.now_ms() + 30_000
    sure = await cancel_surely(b.venue, b.symbol, link, b.clock, expires_ms=expires)
    kind_of(sure, Accepted, "cancel")
    equal((await b.until_order(link, "Cancelled")).price, price, "its last price")


@case(64, "what happens while the stream is down is found, once", "0.3, 6.7", Need.MONEY)
async def reconnect(b: Bench) -> None:
    link = await b.rest()
    _cut(b)
    filled = await b.place(b.order("Buy", b.size(await b.last())))
    await b.venue.cancel(b.symbol, order_link_id=link, priority=NOW)
    await b.until(lambda: b.downs, "the fall")
    await b.until(lambda: b.feed.up and not b.view.stale, "a true view again")
    await b.until_order(link, "Cancelled")  # known as open, not listed any more: looked up
    # An order that began and ended meanwhile is in no snapshot: its executions tell of it.
    fills = [e for n in b.news for e in n.executions if e.order_link_id == filled]
    hold(fills, "the executions of the order in between")
    sent = b.client.gate.venue_clock.now_ms()
    kind_of(await b.venue.look_up(b.symbol, filled, sent_ms=sent), Found, "that order")
    await _true_view(b)


def _cut(b: Bench) -> None:
    link = b.client.private.keeper.link
    hold(link is not None, "the stream is up")
    if link is not None:
        link.socket.abort()


async def _true_view(b: Bench) -> None:
    """Hold the view against the lists; each execution came once."""
    listed = {e.exec_id for e in await b.executions()}
    counted = [e.exec_id for e in b.view.executions() if e.symbol == b.symbol]
    equal(set(counted) - listed, set(), "executions that are not listed")
    news = [e.exec_id for n in b.news for e in n.executions]
    equal(len(news), len(set(news)), "executions counted once")
    held = {(p.position_idx, p.side, p.size) for p in await b.positions() if p.symbol == b.symbol}
    seen = {(p.position_idx, p.side, p.size) for p in b.view.positions() if p.symbol == b.symbol}
    equal(seen, held, "positions")
    open_ = sorted((o.order_id, o.qty, o.cum_exec_qty) for o in await b.orders())
    here = sorted((o.order_id, o.qty, o.cum_exec_qty) for o in b.view.open_orders(b.symbol))
    equal(here, open_, "open orders")
    wallet = await b.wallet()
    await b.until(
        lambda: (w := b.view.wallet) and w.wallet_balance == wallet.wallet_balance, "the wallet"
    )


@case(65, "a second resynchronisation changes nothing", "6.7", Need.MONEY)
async def again(b: Bench) -> None:
    await b.open(stop_loss=await b.far("Buy"), tpsl_mode="Full")
    await b.rest()
    await b.until_listed(lambda r: len(r) == 2, "order and stop")
    kind_of(await resync(b.venue, b.view), Resynced, "once")
    before = ([o.order_id for o in b.view.orders()], b.view.executions(), b.held())
    twice = kind_of(await resync(b.venue, b.view), Resynced, "twice")
    equal((twice.news.executions, twice.unsettled), ((), ()), "news of it")
    after = ([o.order_id for o in b.view.orders()], b.view.executions(), b.held())
    equal(after, before, "the view")
    await _true_view(b)


@case(66, "pushes that are doubled, permuted, late or lost give the same view",
      "0.4", Need.FAULTS)  # fmt: skip
async def disorder(b: Bench) -> None:
    for kind in ("push_duplicate", "push_permute", "push_late", "push_malformed"):
        b.controls.arm(kind, count=6, ms=300)
    await b.open(stop_loss=await b.far("Buy"), tpsl_mode="Full")
    link = await b.rest()
    await b.flatten()
    await b.venue.cancel(b.symbol, order_link_id=link, priority=NOW)
    await b.until(lambda: not b.held() and not b.view.open_orders(b.symbol), "the end")
    b.controls.arm("push_drop", count=3)
    await b.rest()
    kind_of(await resync(b.venue, b.view), Resynced, "read anew")
    await b.until(lambda: not b.view.stale, "a true view")
    await _true_view(b)


async def _refused_key(b: Bench, api_key: str, secret: str, codes: tuple[int, ...]) -> None:
    other = Client(b.parts, api_key, secret)
    try:
        price = await b.far("Buy")
        said = await other.venue.place(b.order("Buy", b.size(price), price), priority=LATER)
        said = kind_of(said, Refused, "place")
        hold(said.code in codes, f"code {said.code}: {said.message}")
        equal((said.action, said.retry_after_s), ("stop user", None), "what to do")
        hold(not isinstance(await other.venue.orders(), Ok), "nothing is read either")
        await other.private.start()
        items: list = []
        while not any(isinstance(i, StreamDown) and i.fatal for i in items):
            items += await other.private.batch()
    finally:
        await other.close()


@case(67, "a wrong signature is refused for good, by request and by stream", "2, 5 (10004), S1")
async def wrong_secret(b: Bench) -> None:
    await _refused_key(b, b.parts.api_key, "x" * 36, (10004,))
    equal(await b.orders(), [], "open orders")


@case(68, "an unknown key is refused for good, by request and by stream", "2, 5 (10003)")
async def unknown_key(b: Bench) -> None:
    await _refused_key(b, "NoSuchKeyAnywhere1", b.parts.secret, (10003, 33004))


@case(69, "an expired key is refused for good, by request and by stream",
      "5 (33004)", Need.FAULTS)  # fmt: skip
async def expired_key(b: Bench) -> None:
    await _refused_key(b, *b.controls.expired_key(), (33004,))


class _Skewed:
    """A clock whose wall time is wrong."""

    def __init__(self, clock: Clock, offset_ms: int) -> None:
        self._clock = clock
        self._offset_ms = offset_ms

    def now_ms(self) -> int:
        return self._clock.now_ms() + self._offset_ms

    def monotonic_s(self) -> float:
        return self._clock.monotonic_s()

    async def sleep(self, delay_s: float) -> None:
        await self._clock.sleep(delay_s)

    def call_later(self, delay_s: float, call: Callable[[], None]) -> Alarm:
        return self._clock.call_later(delay_s, call)


@case(70, "a clock that is wrong is read anew, and the order placed once", "2 (time rule), 10.8")
async def skewed(b: Bench) -> None:
    price = await b.far("Buy")
    for number, offset_ms in enumerate((-60_000, 45_000), 1):
        other = Client(b.parts, b.parts.api_key, b.parts.secret, clock=_Skewed(b.clock, offset_ms))
        try:
            order = b.order("Buy", b.size(price), price)
            kind_of(await other.venue.place(order, priority=LATER), Accepted, f"{offset_ms} ms")
            equal(other.gate.resyncs, 1, "readings of the venue's clock")
        finally:
            await other.close()
        await b.until_order(order.order_link_id, "New")
        equal(len(await b.orders()), number, "open orders")


@case(71, "too many visits are waited out, and the order is placed once",
      "0.10, 5 (10006), W25", Need.FAULTS)  # fmt: skip
async def throttled(b: Bench) -> None:
    price = await b.far("Buy")
    for number, header in enumerate(("present", "past", "absent"), 1):
        before = b.client.gate.throttled
        b.controls.arm("throttle", endpoint=CREATE, header=header, ms=200)
        await b.place(b.order("Buy", b.size(price), price))
        equal(b.client.gate.throttled - before, 1, f"refusals, reset header {header}")
        await b.until(lambda n=number: len(b.view.open_orders(b.symbol)) == n, "one more order")


@case(72, "a burst of orders stays inside the user's allowance", "2 (rate limits)", Need.MANY)
async def burst(b: Bench) -> None:
    price, before = await b.far("Buy"), b.client.gate.throttled
    orders = [b.order("Buy", b.size(price), price) for _ in range(15)]
    said = await asyncio.gather(*(b.venue.place(o, priority=LATER) for o in orders))
    for answer in said:
        kind_of(answer, Accepted, "place")
    equal(b.client.gate.throttled - before, 0, "refusals")
    await b.until(lambda: len(b.view.open_orders(b.symbol)) == len(orders), "all of them")


@case(73, "order entry by stream has the outcomes of requests", "6.6", Need.ORDER_STREAM)
async def by_stream(b: Bench) -> None:
    venue, stream = b.client.by_stream, b.client.order_stream
    if venue is None or stream is None:
        raise RuntimeError("a face that offers the order stream has one")
    await stream.start()
    await b.until(lambda: stream.ready, "the order stream")
    before = stream.counters.acknowledged
    price = await b.far("Buy")
    order = b.order("Buy", b.size(price), price)
    kind_of(await venue.place(order, priority=LATER), Accepted, "place")
    again = kind_of(await venue.place(order, priority=LATER), Accepted, "the same again")
    hold(again.already, "adopted")
    moved = OrderChange(
        symbol=b.symbol, order_link_id=order.order_link_id, price=price - b.rules.tick_size
    )
    kind_of(await venue.amend(moved, priority=LATER), Accepted, "amend")
    bad = await venue.place(b.order("Buy", b.rules.qty_step / 2, price), priority=LATER)
    equal(kind_of(bad, Refused, "a bad quantity").code, 10001, "the code")
    gone = await venue.cancel(b.symbol, order_link_id=order.order_link_id, priority=NOW)
    kind_of(gone, Accepted, "cancel")
    ended = await b.until_order(order.order_link_id, "Cancelled")
    equal(ended.price, moved.price, "its last price")
    equal(stream.counters.acknowledged - before, 5, "acknowledged by the stream")


@case(74, "an order frame whose answer is lost is unknown, and found",
      "6.6, 0.2", Need.ORDER_STREAM, Need.FAULTS)  # fmt: skip
async def frame_lost(b: Bench) -> None:
    venue, stream = b.client.by_stream, b.client.order_stream
    if venue is None or stream is None:
        raise RuntimeError("a face that offers the order stream has one")
    await stream.start()
    await b.until(lambda: stream.ready, "the order stream")
    b.controls.arm("lost_reply", endpoint="order.create")
    price = await b.far("Buy")
    order = b.order("Buy", b.size(price), price)
    lost = kind_of(await venue.place(order, priority=LATER), Unknown, "place")
    found = await b.venue.look_up(b.symbol, order.order_link_id, sent_ms=lost.sent_ms)
    kind_of(found, Found, "looked up")
    equal(len(await b.orders()), 1, "open orders")


@case(75, "a stop the venue refuses refuses the entry too", "10.1, 5 (110093)", Need.FAULTS)
async def stop_rejected(b: Bench) -> None:
    b.controls.arm("stop_rejected", endpoint=CREATE)
    price = await b.far("Buy")
    order = b.order(
        "Buy", b.size(price), price, tpsl_mode="Full",
        stop_loss=b.rules.floor_price(price * D("0.9")),
    )  # fmt: skip
    said = kind_of(await b.venue.place(order, priority=LATER), Refused, "place")
    equal(said.action, "close now", "what to do")
    equal(await b.orders(), [], "open orders")


@case(76, "closed orders that the venue forgot are found in the history", "3.4", Need.FAULTS)
async def forgotten(b: Bench) -> None:
    link = await b.rest()
    sent = b.client.gate.venue_clock.now_ms()
    b.controls.arm("wipe_closed", endpoint="/v5/order/cancel")
    await b.venue.cancel(b.symbol, order_link_id=link, priority=NOW)
    await b.until_order(link, "Cancelled")
    found = kind_of(await b.venue.look_up(b.symbol, link, sent_ms=sent), Found, "looked up")
    equal(found.order.order_status, "Cancelled", "how it ended")

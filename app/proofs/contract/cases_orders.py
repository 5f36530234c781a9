"""Cases 1 to 25: orders from the door to their end."""

from dataclasses import replace
from decimal import Decimal

from app.proofs.contract.bench import LATER, NOW, Bench
from app.proofs.contract.case import Broken, Need, NotHere, case, equal, hold, kind_of
from engine.venue.reports import ExecutionReport, OrderReport
from live.venues.trading import Accepted, OrderChange, Refused, TradingStop

D = Decimal
PARAMS, LINK_TWICE, SMALL = 10001, 110072, 110094


@case(1, "a limit order is taken, streamed, listed", "0.1, 3.4, 6.5")
async def taken(b: Bench) -> None:
    price = await b.far("Buy")
    order = b.order("Buy", b.size(price), price)
    answer = kind_of(await b.venue.place(order, priority=LATER), Accepted, "place")
    hold(answer.order_id and not answer.already, f"an id and no more: {answer}")
    seen = await b.until_order(order.order_link_id, "New")
    equal(seen.order_id, answer.order_id, "the streamed id")
    wanted = (order.side, "Limit", order.qty, price, "GTC")
    for source in (seen, (await b.until_listed(len, "the order"))[0]):
        got = (source.side, source.order_type, source.qty, source.price, source.time_in_force)
        equal(got, wanted, "the order as told")
    hold(b.told(OrderReport), "the stream itself told of it")


@case(2, "a link id of 36 characters is taken, one of 40 refused", "4.1, W9, W11")
async def link_lengths(b: Bench) -> None:
    price = await b.far("Buy")
    longest = b.link().ljust(36, "x")
    await b.place(b.order("Buy", b.size(price), price, order_link_id=longest))
    await b.until_order(longest, "New")
    too_long = b.order("Buy", b.size(price), price, order_link_id=b.link().ljust(40, "x"))
    said = kind_of(await b.venue.place(too_long, priority=LATER), Refused, "40 characters")
    equal(said.code, PARAMS, "the code")
    equal(len(await b.orders()), 1, "open orders")


@case(3, "an order sent twice is one order: the duplicate link id is adopted", "0.2, 5 (110072)")
async def sent_twice(b: Bench) -> None:
    price = await b.far("Buy")
    order = b.order("Buy", b.size(price), price)
    first = kind_of(await b.venue.place(order, priority=LATER), Accepted, "first send")
    again = kind_of(await b.venue.place(order, priority=LATER), Accepted, "second send")
    hold(again.already, "the second send found the first")
    equal(again.order_id, first.order_id, "the adopted id")
    await b.until_order(order.order_link_id, "New")
    equal(len(await b.orders()), 1, "open orders")


@case(4, "a link id stays spent when its order has ended", "4.1, A27")
async def link_spent(b: Bench) -> None:
    link = await b.rest()
    await b.venue.cancel(b.symbol, order_link_id=link, priority=NOW)
    await b.until_order(link, "Cancelled")
    price = await b.far("Buy")
    again = await b.venue.place(
        b.order("Buy", b.size(price), price, order_link_id=link), priority=LATER
    )
    hold(kind_of(again, Accepted, "the id again").already, "adopted, not placed anew")
    equal(await b.orders(), [], "open orders")


@case(5, "a price off the tick is refused", "4.8, 5 (10001)")
async def off_tick(b: Bench) -> None:
    price = await b.far("Buy") + b.rules.tick_size / 2
    said = await b.venue.place(b.order("Buy", b.size(price), price), priority=LATER)
    if isinstance(said, Accepted):
        listed = await b.until_listed(len, "the order")
        raise Broken(f"taken at {listed[0].price}, asked {price}")
    equal(kind_of(said, Refused, "off the tick").code, PARAMS, "the code")


@case(6, "a quantity off the step, or none, is refused", "4.8, 5 (10001)")
async def off_step(b: Bench) -> None:
    price = await b.far("Buy")
    for qty in (b.size(price) + b.rules.qty_step / 2, D(0), b.rules.qty_step / 10):
        said = await b.venue.place(b.order("Buy", qty, price), priority=LATER)
        equal(kind_of(said, Refused, f"quantity {qty}").code, PARAMS, f"quantity {qty}")


@case(7, "an order of too little value is refused", "4.8, 5 (110094)")
async def too_little(b: Bench) -> None:
    price = await b.far("Buy")
    if b.rules.min_order_qty * price >= b.rules.min_notional:
        raise NotHere("the least quantity is worth more than the least value here")
    said = await b.venue.place(b.order("Buy", b.rules.min_order_qty, price), priority=LATER)
    equal(kind_of(said, Refused, "too little value").code, SMALL, "the code")


@case(8, "a quantity above the contract's most is refused", "3.1, 4.3")
async def too_much(b: Bench) -> None:
    price = await b.far("Buy")
    said = await b.venue.place(
        b.order("Buy", b.rules.max_order_qty + b.rules.qty_step, price), priority=LATER
    )
    equal(kind_of(said, Refused, "too much").code, PARAMS, "the code")


@case(9, "PostOnly that would take is accepted, then cancelled; a passive one rests", "4.2")
async def post_only(b: Bench) -> None:
    quote = await b.quote()
    ask = quote.ask1_price or D(0)
    price = b.rules.floor_price(ask * D("1.001")) + b.rules.tick_size
    link = await b.place(b.order("Buy", b.size(price), price, time_in_force="PostOnly"))
    ended = await b.until_order(link, "Cancelled", "Rejected")
    equal(ended.reject_reason, "EC_PostOnlyWillTakeLiquidity", "the reason")
    equal(ended.cum_exec_qty, D(0), "filled")
    await b.rest(time_in_force="PostOnly")


@case(10, "IOC away from the book is cancelled without a fill", "4.2, A16")
async def ioc(b: Bench) -> None:
    price = await b.far("Buy")
    link = await b.place(b.order("Buy", b.size(price), price, time_in_force="IOC"))
    ended = await b.until_order(link, "Cancelled", "Rejected")
    equal(ended.reject_reason, "EC_NoImmediateQtyToFill", "the reason")
    equal((ended.cum_exec_qty, await b.orders()), (D(0), []), "filled, open")


@case(11, "FOK that cannot be filled whole is cancelled without a fill", "4.2, A16")
async def fok(b: Bench) -> None:
    price = await b.far("Buy")
    link = await b.place(b.order("Buy", b.size(price), price, time_in_force="FOK"))
    ended = await b.until_order(link, "Cancelled", "Rejected")
    equal(ended.reject_reason, "EC_CancelForNoFullFill", "the reason")
    equal(ended.cum_exec_qty, D(0), "filled")


@case(
    12,
    "a market order fills; it is an IOC at the edge of the band",
    "4.3, A14, A17, W12",
    Need.MONEY,
)
async def market(b: Bench) -> None:
    qty = b.size(await b.last())
    link = await b.place(b.order("Buy", qty))
    filled = await b.until_order(link, "Filled")
    equal((filled.cum_exec_qty, filled.order_type), (qty, "Market"), "filled")
    equal(filled.time_in_force, "IOC", "time in force")
    paid = filled.avg_price or filled.cum_exec_value / qty
    hold(filled.price is not None and filled.price >= paid, "its price is a limit, not the fill")
    await b.until(lambda: b.held() == qty, "the position")
    states = [o.order_status for o in b.told(OrderReport) if o.order_link_id == link]
    equal(states, ["Filled"], "what the stream told of a taker's order")


@case(13, "a limit order beyond the book takes at the book's price", "4.3", Need.MONEY)
async def crossing(b: Bench) -> None:
    ask = (await b.quote()).ask1_price or D(0)
    price = b.rules.floor_price(ask * D("1.005"))
    qty = b.size(price)
    link = await b.place(b.order("Buy", qty, price))
    filled = await b.until_order(link, "Filled")
    hold(filled.cum_exec_value / qty < price, "better than its limit")
    fills = await b.executions(link)
    hold(fills and not any(e.is_maker for e in fills), "taker fills")


@case(14, "a limit price past the band is moved to its edge, not refused", "0.8, 4.8", Need.MONEY)
async def repriced(b: Bench) -> None:
    last = await b.last()
    asked = b.rules.floor_price(last * D("1.2"))
    link = await b.place(b.order("Buy", b.size(last), asked))
    filled = await b.until_order(link, "Filled", "New", "PartiallyFilled")
    hold(filled.price is not None and filled.price < asked, f"asked {asked}, has {filled.price}")
    ceiling = last * (1 + b.rules.price_limit_y) * D("1.01")
    hold(filled.price is not None and filled.price <= ceiling, "the edge is inside the band")


@case(15, "amended price and quantity are streamed and listed", "3.4, A39")
async def amended(b: Bench) -> None:
    link = await b.rest()
    before = await b.until_order(link)
    price, qty = (before.price or D(0)) - 3 * b.rules.tick_size, before.qty + b.rules.qty_step
    change = OrderChange(symbol=b.symbol, order_link_id=link, price=price, qty=qty)
    kind_of(await b.venue.amend(change, priority=LATER), Accepted, "amend")
    await b.until(lambda: (o := b.view.by_link(link)) and o.price == price, "the new price")
    after = await b.until_order(link, "New")
    equal((after.order_id, after.qty), (before.order_id, qty), "the same order, the new quantity")
    listed = await b.until_listed(len, "the order")
    equal((listed[0].price, listed[0].qty), (price, qty), "as listed")


@case(16, "an amendment that changes nothing counts as taken", "5 (10001), A39")
async def unchanged(b: Bench) -> None:
    link = await b.rest()
    same = OrderChange(symbol=b.symbol, order_link_id=link, price=(await b.until_order(link)).price)
    said = kind_of(await b.venue.amend(same, priority=LATER), Accepted, "the same price")
    hold(said.already, "already so")


@case(17, "an amendment too late is refused, and says what became of the order", "5 (110001)")
async def amended_late(b: Bench) -> None:
    link = await b.rest()
    price = (await b.until_order(link)).price or D(0)
    await b.venue.cancel(b.symbol, order_link_id=link, priority=NOW)
    await b.until_order(link, "Cancelled")
    late = OrderChange(symbol=b.symbol, order_link_id=link, price=price - b.rules.tick_size)
    said = kind_of(await b.venue.amend(late, priority=LATER), Refused, "too late")
    hold(said.code in (110001, 110008, 110010), f"code {said.code}")
    equal(said.order and said.order.order_status, "Cancelled", "the order it carries")


@case(18, "a cancel is streamed; a second one finds the order ended", "0.1, 5 (110001)")
async def cancelled(b: Bench) -> None:
    link = await b.rest()
    first = kind_of(
        await b.venue.cancel(b.symbol, order_link_id=link, priority=NOW), Accepted, "cancel"
    )
    hold(not first.already, "the first cancel")
    ended = await b.until_order(link, "Cancelled")
    equal(ended.cancel_type, "CancelByUser", "by whom")
    again = kind_of(
        await b.venue.cancel(b.symbol, order_link_id=link, priority=NOW), Accepted, "again"
    )
    hold(again.already, "already ended")
    equal(again.order and again.order.order_status, "Cancelled", "the order it found")


@case(19, "a cancel of a filled order finds the fill", "5 (110001), 10.2", Need.MONEY)
async def cancel_filled(b: Bench) -> None:
    link = await b.place(b.order("Buy", b.size(await b.last())))
    await b.until_order(link, "Filled")
    said = kind_of(
        await b.venue.cancel(b.symbol, order_link_id=link, priority=NOW), Accepted, "cancel"
    )
    equal(said.order and said.order.order_status, "Filled", "the order it found")


@case(20, "a cancel or change of an order that never was is refused", "5 (110001)")
async def never_was(b: Bench) -> None:
    gone = await b.venue.cancel(b.symbol, order_link_id=b.link(), priority=NOW)
    equal(kind_of(gone, Refused, "cancel").code, 110001, "cancel")
    change = OrderChange(symbol=b.symbol, order_link_id=b.link(), price=await b.far("Buy"))
    said = kind_of(await b.venue.amend(change, priority=LATER), Refused, "amend")
    equal(said.code, 110001, "amend")


@case(21, "cancelling all entries keeps the stops", "3.4, A38", Need.MONEY)
async def entries_only(b: Bench) -> None:
    await b.open(stop_loss=await b.far("Buy"), tpsl_mode="Full")
    links = [await b.rest(), await b.rest("Sell")]
    trigger = b.rules.floor_price(await b.last() * D("0.9"))
    stop = b.order("Sell", b.held(), reduce_only=True, trigger_price=trigger, trigger_direction=2)
    await b.place(stop)
    await b.until_order(stop.order_link_id, "Untriggered")
    kind_of(await b.venue.cancel_entries(b.symbol, priority=NOW), Accepted, "cancel entries")
    for link in links:
        await b.until_order(link, "Cancelled")
    left = sorted(o.stop_order_type for o in await b.orders())
    equal(left, ["Stop", "StopLoss"], "what is left")


@case(22, "a resting order filled in part, then cancelled, keeps its fill", "4.2", Need.PRICE)
async def partly(b: Bench) -> None:
    link = await b.rest()
    order = await b.until_order(link)
    half = order.qty / 2
    b.controls.prints(b.symbol, order.price or D(0), half, "Sell")
    part = await b.until_order(link, "PartiallyFilled")
    equal(part.cum_exec_qty, half, "filled")
    await b.until(lambda: b.held() == half, "half a position")
    await b.venue.cancel(b.symbol, order_link_id=link, priority=NOW)
    ended = await b.until_order(link, "Cancelled")
    equal((ended.cum_exec_qty, b.held()), (half, half), "filled, held")


@case(23, "a resting order that the price goes through fills as maker", "A18", Need.PRICE)
async def through(b: Bench) -> None:
    link = await b.rest()
    order = await b.until_order(link)
    await b.move((order.price or D(0)) - b.rules.tick_size)
    filled = await b.until_order(link, "Filled")
    equal(filled.cum_exec_value, order.qty * (order.price or D(0)), "at its own price")
    fills = [e for e in b.told(ExecutionReport) if e.order_link_id == link]
    hold(fills and all(e.is_maker for e in fills), "as maker")


@case(24, "a position index of the other mode is refused, to be adapted to", "10.5, 5 (10001)")
async def wrong_index(b: Bench) -> None:
    price = await b.far("Buy")
    said = await b.venue.place(b.order("Buy", b.size(price), price, position_idx=1), priority=LATER)
    said = kind_of(said, Refused, "index 1 in one-way mode")
    equal((said.code, said.action), (PARAMS, "adapt mode"), "code, action")


@case(25, "a symbol that does not exist is refused everywhere", "3.4")
async def no_symbol(b: Bench) -> None:
    order = replace(b.order("Buy", D(1), D(1)), symbol="NOSUCHCOINUSDT")
    kind_of(await b.venue.place(order, priority=LATER), Refused, "place")
    gone = await b.venue.cancel(order.symbol, order_link_id=order.order_link_id, priority=NOW)
    kind_of(gone, Refused, "cancel")
    stop = TradingStop(symbol=order.symbol, stop_loss=D(1))
    kind_of(await b.venue.set_trading_stop(stop, priority=NOW), Refused, "trading stop")

"""Cases 26 to 46, 77 to 79: stops of every kind, reduce-only orders."""

from decimal import Decimal

from app.proofs.contract.bench import LATER, NOW, Bench
from app.proofs.contract.case import Need, case, equal, hold, kind_of
from engine.venue.reports import OrderReport, PositionReport, WalletReport
from live.venues.trading import Accepted, NewOrder, PlaceOutcome, Refused, TradingStop

D = Decimal
PARAMS, FLAT = 10001, 110017


def _at(b: Bench, last: Decimal, share: str) -> Decimal:
    return b.rules.floor_price(last * D(share))


async def _stop(b: Bench, **values: Decimal) -> PlaceOutcome:
    stop = TradingStop(symbol=b.symbol, **values)  # pyrefly: ignore[bad-argument-type]
    return await b.venue.set_trading_stop(stop, priority=NOW)


async def _conditional(
    b: Bench, side: str, trigger: Decimal, direction: int
) -> tuple[NewOrder, PlaceOutcome]:
    qty = b.size(await b.last())
    order = b.order(side, qty, trigger_price=trigger, trigger_direction=direction)
    return order, await b.venue.place(order, priority=LATER)


@case(26, "an attached stop sleeps until its order is executed", "4.5")
async def sleeps(b: Bench) -> None:
    price = await b.far("Buy")
    await b.rest(stop_loss=_at(b, price, "0.9"), tpsl_mode="Full")
    rows = await b.until_listed(len, "the order")
    equal([o.stop_order_type for o in rows], [""], "open orders")
    equal(rows[0].stop_loss, _at(b, price, "0.9"), "the stop it carries")


@case(27, "an attached Full stop becomes the position's with the fill", "4.5, A28", Need.MONEY)
async def attached(b: Bench) -> None:
    last = await b.last()
    sl, tp = _at(b, last, "0.9"), _at(b, last, "1.1")
    await b.open(stop_loss=sl, take_profit=tp, tpsl_mode="Full")
    await b.until(lambda: _shown(b) == (tp, sl), "the position shows both")
    rows = await b.until_listed(lambda r: len(r) == 2, "two stop orders")
    got = sorted((o.stop_order_type, o.trigger_price, o.side, o.order_link_id) for o in rows)
    equal(got, [("StopLoss", sl, "Sell", ""), ("TakeProfit", tp, "Sell", "")], "the stops")
    hold(not b.view.unprotected(), "protected")


def _shown(b: Bench) -> tuple[Decimal | None, Decimal | None]:
    position = b.view.position(b.symbol)
    return (position.take_profit, position.stop_loss) if position is not None else (None, None)


@case(28, "a Full stop covers the position that a later order has grown", "4.5, 0.3", Need.MONEY)
async def grows(b: Bench) -> None:
    sl = await b.far("Buy")
    await b.open(stop_loss=sl, tpsl_mode="Full")
    first = await b.until_listed(lambda r: len(r) == 1, "the stop")
    await b.open()
    held = b.held()
    rows = await b.until_listed(lambda r: r and r[0].qty in (held, D(0)), "the stop grown")
    equal(len(rows), 1, "one stop for all of it")
    equal((rows[0].trigger_price, first[0].trigger_price), (sl, sl), "where it stands")
    hold(not b.view.unprotected(), "protected")


@case(29, "a Full stop covers what a partial fill has opened, then the rest", "4.5", Need.PRICE)
async def follows_fills(b: Bench) -> None:
    price = await b.far("Buy")
    link = await b.rest(stop_loss=_at(b, price, "0.9"), tpsl_mode="Full")
    order = await b.until_order(link)
    for share in (order.qty / 2, order.qty):
        b.controls.prints(b.symbol, price, order.qty / 2, "Sell")
        await b.until(lambda s=share: b.held() == s, "the position")
        await b.until_listed(
            lambda r, s=share: [o.qty for o in r if o.stop_order_type == "StopLoss"] == [s],
            f"a stop over {share}",
        )
    await b.until_order(link, "Filled")


@case(30, "a later order's attached stop replaces the position's", "4.5", Need.MONEY)
async def replaces(b: Bench) -> None:
    last = await b.last()
    await b.open(stop_loss=_at(b, last, "0.9"), tpsl_mode="Full")
    await b.open(stop_loss=_at(b, last, "0.92"), tpsl_mode="Full")
    await b.until(lambda: _shown(b)[1] == _at(b, last, "0.92"), "the later stop")
    rows = await b.until_listed(lambda r: len(r) == 1, "one stop")
    equal(rows[0].trigger_price, _at(b, last, "0.92"), "where it stands")


@case(31, "a position's stop is set, moved, found unchanged, removed", "3.3, 5 (34040)", Need.MONEY)
async def trading_stop(b: Bench) -> None:
    await b.open()
    last = await b.last()
    for share in ("0.9", "0.92"):
        at = _at(b, last, share)
        hold(not kind_of(await _stop(b, stop_loss=at), Accepted, "set").already, "changed")
        await b.until(lambda a=at: _shown(b)[1] == a, f"the stop at {at}")
    same = kind_of(await _stop(b, stop_loss=_at(b, last, "0.92")), Accepted, "the same again")
    hold(same.already, "34040 counts as done")
    kind_of(await _stop(b, stop_loss=D(0)), Accepted, "remove")
    await b.until(lambda: not _shown(b)[1], "no stop")
    await b.until_listed(lambda r: not r, "no stop order")
    equal(len(b.view.unprotected()), 1, "unprotected positions")


@case(32, "a stop on the wrong side is refused and the old one stays", "4.8, 5 (10001)", Need.MONEY)
async def wrong_side(b: Bench) -> None:
    last = await b.last()
    sl = _at(b, last, "0.9")
    await b.open(stop_loss=sl, tpsl_mode="Full")
    said = kind_of(await _stop(b, stop_loss=_at(b, last, "1.1")), Refused, "a long's stop above")
    equal(said.code, PARAMS, "the code")
    slots = await b.slots()
    equal([p.stop_loss for p in slots], [sl], "the stop")


@case(33, "a stop for a position that is not there is refused", "3.3, 5 (10001)")
async def nothing_to_stop(b: Bench) -> None:
    said = kind_of(await _stop(b, stop_loss=await b.far("Buy")), Refused, "a stop while flat")
    equal(said.code, PARAMS, "the code")


@case(34, "a trailing stop with activation waits as its own order", "4.5, A36", Need.MONEY)
async def trailing(b: Bench) -> None:
    await b.open()
    last = await b.last()
    distance, start = _at(b, last, "0.02"), _at(b, last, "1.05")
    kind_of(await _stop(b, trailing_stop=distance, active_price=start), Accepted, "set")
    await b.until(
        lambda: (p := b.view.position(b.symbol)) and p.trailing_stop == distance, "the distance"
    )
    rows = await b.until_listed(len, "the trailing stop")
    got = [(o.stop_order_type, o.trigger_price) for o in rows]
    equal(got, [("TrailingStop", start)], "its trigger is the activation price")


@case(35, "a trailing stop follows from its activation and fires", "4.5, A36", Need.PRICE)
async def trails(b: Bench) -> None:
    await b.open()
    last = await b.last()
    distance, start = _at(b, last, "0.02"), _at(b, last, "1.05")
    kind_of(await _stop(b, trailing_stop=distance, active_price=start), Accepted, "set")
    await b.move(last - distance * 2)
    hold((await b.slots())[0].size, "not yet active: nothing happens")
    await b.move(start + distance)
    await b.move(start + distance / 2)
    hold((await b.slots())[0].size, "half the distance back: nothing happens")
    await b.move(start)
    await b.until(lambda: not b.held(), "closed")
    kinds = {o.stop_order_type for o in b.told(OrderReport) if o.order_status == "Filled"}
    hold("TrailingStop" in kinds, "by the trailing stop")


@case(36, "a stop closes the position and clears its siblings", "4.5, A33", Need.PRICE)
async def stop_fires(b: Bench) -> None:
    last = await b.last()
    sl, tp = _at(b, last, "0.97"), _at(b, last, "1.1")
    await b.open(stop_loss=sl, take_profit=tp, tpsl_mode="Full")
    await b.until_listed(lambda r: len(r) == 2, "both stops")
    await b.move(sl)
    await b.until(lambda: not b.held(), "closed")
    await b.until_listed(lambda r: not r, "nothing left")
    ends = _ends(b)
    equal(ends.get("StopLoss"), ("Filled", ""), "the stop")
    equal(ends.get("TakeProfit"), ("Deactivated", "CancelByTpSlTsClear"), "its sibling")


def _ends(b: Bench) -> dict[str, tuple[str, str]]:
    """Return how each kind of stop ended, by the stream."""
    rows = [o for o in b.told(OrderReport) if o.stop_order_type and not o.is_open]
    none = ("UNKNOWN", "")
    return {
        o.stop_order_type: (o.order_status, "" if o.cancel_type in none else o.cancel_type)
        for o in rows
    }


@case(37, "a take profit closes the position and clears the stop", "4.5", Need.PRICE)
async def profit_fires(b: Bench) -> None:
    last = await b.last()
    sl, tp = _at(b, last, "0.9"), _at(b, last, "1.03")
    await b.open(stop_loss=sl, take_profit=tp, tpsl_mode="Full")
    await b.move(tp)
    await b.until(lambda: not b.held(), "closed")
    await b.until_listed(lambda r: not r, "nothing left")
    equal(_ends(b).get("StopLoss"), ("Deactivated", "CancelByTpSlTsClear"), "the stop")


@case(38, "closing by hand clears the position's stops", "4.5 (CancelByTpSlTsClear)", Need.MONEY)
async def close_clears(b: Bench) -> None:
    last = await b.last()
    sl, tp = _at(b, last, "0.9"), _at(b, last, "1.1")
    await b.open(stop_loss=sl, take_profit=tp, tpsl_mode="Full")
    await b.until_listed(lambda r: len(r) == 2, "both stops")
    await b.flatten()
    await b.until(lambda: not b.held(), "closed")
    await b.until_listed(lambda r: not r, "nothing left")
    equal({e for _, e in _ends(b).values()}, {"CancelByTpSlTsClear"}, "why they ended")


@case(39, "Partial stops have sizes of their own; unequal pairs are refused", "10.6", Need.MONEY)
async def partial(b: Bench) -> None:
    await b.open(times=4)
    last, half = await b.last(), b.held() / 2
    common = {"tpsl_mode": "Partial", "take_profit": _at(b, last, "1.1"),
              "stop_loss": _at(b, last, "0.9")}  # fmt: skip
    bad = await _stop(b, **common, tp_size=half, sl_size=b.held())  # pyrefly: ignore
    equal(kind_of(bad, Refused, "unequal sizes").code, PARAMS, "the code")
    kind_of(await _stop(b, **common, tp_size=half, sl_size=half), Accepted, "a pair")  # pyrefly: ignore
    rows = await b.until_listed(lambda r: len(r) == 2, "the pair")
    got = sorted((o.stop_order_type, o.qty) for o in rows)
    equal(got, [("PartialStopLoss", half), ("PartialTakeProfit", half)], "the pair")
    equal(len(b.view.unprotected()), 1, "half a position is still unprotected")


@case(40, "a conditional order past its trigger is refused: close now", "5 (110092/110093)")
async def passed(b: Bench) -> None:
    last = await b.last()
    for trigger, direction, codes in (
        (_at(b, last, "0.97"), 1, (110092, PARAMS)),
        (_at(b, last, "1.03"), 2, (110093, PARAMS)),
    ):
        _, answer = await _conditional(b, "Buy", trigger, direction)
        said = kind_of(answer, Refused, f"trigger {trigger}")
        hold(said.code in codes, f"code {said.code}, one of {codes}")
        equal(said.action, "close now", "what to do")


@case(41, "a conditional order waits, holds no margin, ends Deactivated", "4.5, A33")
async def waits(b: Bench) -> None:
    before = (await b.wallet()).total_initial_margin
    order, answer = await _conditional(b, "Buy", await b.far("Sell"), 1)
    kind_of(answer, Accepted, "place")
    await b.until_order(order.order_link_id, "Untriggered")
    equal((await b.wallet()).total_initial_margin, before, "initial margin")
    await b.venue.cancel(b.symbol, order_link_id=order.order_link_id, priority=NOW)
    await b.until_order(order.order_link_id, "Deactivated", "Cancelled")


@case(42, "a conditional order triggers and fills", "4.2, A17", Need.PRICE)
async def triggers(b: Bench) -> None:
    trigger = _at(b, await b.last(), "1.02")
    order, answer = await _conditional(b, "Buy", trigger, 1)
    kind_of(answer, Accepted, "place")
    await b.until_order(order.order_link_id, "Untriggered")
    await b.move(trigger)
    await b.until_order(order.order_link_id, "Filled")
    await b.until(lambda: b.held() == order.qty, "the position")
    link = order.order_link_id
    states = [o.order_status for o in b.told(OrderReport) if o.order_link_id == link]
    equal((states[0], states[-1]), ("Untriggered", "Filled"), "from, to")
    hold("Triggered" in states, f"by way of Triggered: {states}")


@case(43, "a reduce-only order is cut to the position", "4.4, A24", Need.MONEY)
async def cut(b: Bench) -> None:
    await b.open()
    qty, price = b.held(), await b.far("Sell")
    link = await b.place(b.order("Sell", qty * 2, price, reduce_only=True))
    resting = await b.until_order(link, "New")
    equal(resting.qty, qty, "its quantity")
    await b.place(b.order("Sell", qty * 3, reduce_only=True))
    await b.until(lambda: not b.held(), "flat, not turned over")
    ended = await b.until_order(link, "Cancelled")
    equal(ended.cancel_type, "CancelByReduceOnly", "the one that had nothing left to reduce")


@case(44, "a reduce-only order while flat is refused", "4.4, 5 (110017), A23")
async def nothing_to_reduce(b: Bench) -> None:
    price = await b.far("Sell")
    said = await b.venue.place(
        b.order("Sell", b.size(price), price, reduce_only=True), priority=NOW
    )
    equal(kind_of(said, Refused, "reduce-only while flat").code, FLAT, "the code")


@case(45, "a resting reduce-only order shrinks with the position", "4.4, A24", Need.MONEY)
async def shrinks(b: Bench) -> None:
    await b.open(times=4)
    qty, price = b.held(), await b.far("Sell")
    link = await b.place(b.order("Sell", qty, price, reduce_only=True))
    await b.until_order(link, "New")
    await b.place(b.order("Sell", qty / 2, reduce_only=True))
    await b.until(lambda: b.held() == qty / 2, "half the position")
    await b.until(lambda: (o := b.view.by_link(link)) and o.qty == qty / 2, "half the order")


@case(46, "selling twice a long turns it over, in one execution a fill", "A2", Need.MONEY)
async def turned(b: Bench) -> None:
    await b.open()
    qty = b.held()
    link = await b.place(b.order("Sell", qty * 2))
    await b.until_order(link, "Filled")
    await b.until(lambda: _side(b) == "Sell" and b.held() == qty, "short by as much")
    fills = await b.executions(link)
    equal(sum(e.exec_qty for e in fills), qty * 2, "executed")
    equal(sum(e.closed_size for e in fills), qty, "closed by it")


def _side(b: Bench) -> str:
    position: PositionReport | None = b.view.position(b.symbol)
    return position.side if position is not None else ""


@case(77, "a far order moves the position topic, not the wallet", "6.5, A51")
async def quiet_wallet(b: Bench) -> None:
    link = await b.rest()
    await b.until(lambda: b.told(PositionReport), "the position topic")
    await b.venue.cancel(b.symbol, order_link_id=link, priority=NOW)
    await b.until_order(link, "Cancelled")
    equal(b.told(WalletReport), [], "what the wallet topic told")


@case(78, "a trigger at the present price is already passed", "A22", Need.PRICE)
async def at_the_price(b: Bench) -> None:
    last = await b.last()
    for direction, code in ((1, 110092), (2, 110093)):
        _, answer = await _conditional(b, "Buy", last, direction)
        equal(kind_of(answer, Refused, f"direction {direction}").code, code, "the code")


@case(79, "an eleventh conditional order is refused", "4.5, 5 (110009), A37", Need.MANY)
async def eleven(b: Bench) -> None:
    trigger = await b.far("Sell")
    for number in range(10):
        order, answer = await _conditional(b, "Buy", trigger + number * b.rules.tick_size, 1)
        kind_of(answer, Accepted, f"number {number + 1}")
        await b.until_order(order.order_link_id, "Untriggered")
    _, answer = await _conditional(b, "Buy", trigger, 1)
    equal(kind_of(answer, Refused, "the eleventh").code, 110009, "the code")

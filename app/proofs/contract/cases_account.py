"""Cases 47 to 58: leverage, modes, money, lists."""

from decimal import Decimal
from typing import Any

from app.proofs.contract.bench import LATER, Bench, total
from app.proofs.contract.case import Need, case, equal, hold, kind_of
from engine.venue.reports import ExecutionReport, LogReport, OrderReport
from engine.venue.wire.account import read_log
from engine.venue.wire.client import encode_switch_mode
from engine.venue.wire.positions import read_closed_pnl
from engine.venue.words import PositionMode
from live.venues.trading import Accepted, Refused

D = Decimal
CENT = D("0.00000002")  # what two roundings to 8 decimals may differ by


@case(47, "leverage is set, found unchanged, read back, refused beyond the most", "3.3, 5 (110043)")
async def leverage(b: Bench) -> None:
    before = (await b.slots())[0].leverage or D(10)
    wanted = D(3) if before != D(3) else D(4)
    try:
        kind_of(await b.venue.set_leverage(b.symbol, wanted), Accepted, "set")
        equal([p.leverage for p in await b.slots()], [wanted], "read back")
        again = kind_of(await b.venue.set_leverage(b.symbol, wanted), Accepted, "the same again")
        hold(again.already, "110043 counts as done")
        beyond = await b.venue.set_leverage(b.symbol, b.rules.leverage_max + 1)
        kind_of(beyond, Refused, "beyond the most")
        equal([p.leverage for p in await b.slots()], [wanted], "still")
    finally:
        await b.venue.set_leverage(b.symbol, before)


@case(48, "the executions list and the stream tell the same", "3.4, 6.5, W22", Need.MONEY)
async def same_executions(b: Bench) -> None:
    links = [
        await b.place(b.order("Buy", b.size(await b.last(), 4))),
        await b.place(b.order("Sell", b.size(await b.last()))),
    ]
    for link in links:
        await b.until_order(link, "Filled")
    listed = {e.exec_id: e for e in await b.executions() if e.order_link_id in links}

    def told() -> dict[str, ExecutionReport]:
        return {e.exec_id: e for e in b.told(ExecutionReport) if e.order_link_id in links}

    await b.until(lambda: told().keys() == listed.keys(), "every execution told")
    for key, row in listed.items():
        other = told()[key]
        got = (other.exec_price, other.exec_qty, other.exec_fee, other.side, other.exec_time)
        equal(got, (row.exec_price, row.exec_qty, row.exec_fee, row.side, row.exec_time), key)
    counted = [e.exec_id for n in b.news for e in n.executions if e.order_link_id in links]
    equal(sorted(counted), sorted(listed), "each counted once")


@case(49, "size, entry price and fee follow from the executions", "3.3, A1, W5", Need.MONEY)
async def position_adds_up(b: Bench) -> None:
    link = await b.place(b.order("Buy", b.size(await b.last(), 4)))
    await b.until_order(link, "Filled")
    fills = await b.executions(link)
    qty, value = total(e.exec_qty for e in fills), total(e.exec_value for e in fills)
    slot = (await b.slots())[0]
    equal((slot.side, slot.size), ("Buy", qty), "the position")
    entry = slot.entry_price or D(0)
    hold(abs(entry - value / qty) <= b.rules.tick_size / 100, f"entry {entry}, not {value / qty}")
    await b.until(lambda: b.held() == qty, "the position streamed")
    for e in fills:
        want = (e.exec_value * (e.fee_rate or D(0))).quantize(D("1e-8"))
        hold(abs((e.exec_fee or D(0)) - want) <= CENT, f"fee {e.exec_fee}, not {want}")


@case(50, "the wallet changes by profit less fees, listed and streamed", "3.2, A1", Need.MONEY)
async def wallet_adds_up(b: Bench) -> None:
    before = (await b.wallet()).wallet_balance
    await b.open()
    await b.flatten()
    await b.until(lambda: not b.held(), "flat")
    rows = {e.exec_id: e for e in b.told(ExecutionReport) if e.symbol == b.symbol}
    rows |= {e.exec_id: e for n in b.news for e in n.executions if e.symbol == b.symbol}
    change = total(e.exec_pnl for e in rows.values()) - total(e.exec_fee for e in rows.values())
    after = (await b.wallet()).wallet_balance
    hold(abs(after - before - change) <= CENT, f"{before} {change:+f} is not {after}")
    await b.until(lambda: (w := b.view.wallet) and w.wallet_balance == after, "the wallet streamed")


@case(51, "the transaction log adds up to the wallet's change", "3.2", Need.MONEY)
async def log_adds_up(b: Bench) -> None:
    before = (await b.wallet()).wallet_balance
    began_ms = b.client.gate.venue_clock.now_ms() - 1000
    seen = {r.id for r in await _log(b, began_ms)}
    await b.open()
    await b.flatten()
    await b.until(lambda: not b.held(), "flat")
    after = (await b.wallet()).wallet_balance
    rows = [r for r in await _log(b, began_ms) if r.id not in seen]
    equal({r.type for r in rows}, {"TRADE"}, "kinds")
    hold(abs(total(r.change for r in rows) - (after - before)) <= CENT, "the changes add up")
    for r in rows:
        equal(r.change, r.cash_flow + r.funding - r.fee, f"row {r.id}")


async def _log(b: Bench, start_ms: int) -> list[LogReport]:
    rows = await b.page(
        "/v5/account/transaction-log", accountType="UNIFIED", limit=50, startTime=start_ms
    )
    return [read_log(r) for r in rows]


@case(52, "a round trip has a closed-pnl row", "3.3, A48", Need.MONEY)
async def closed_pnl(b: Bench) -> None:
    await b.open()
    qty = b.held()
    link = await b.place(b.order("Sell", qty, reduce_only=True))
    ended = await b.until_order(link, "Filled")
    await b.until(lambda: not b.held(), "flat")
    rows = await b.page("/v5/position/closed-pnl", symbol=b.symbol, limit=20)
    mine = [r for r in map(read_closed_pnl, rows) if r.order_id == ended.order_id]
    equal(len(mine), 1, "rows of the closing order")
    equal((mine[0].closed_size, mine[0].side), (qty, "Sell"), "what it closed")
    value = mine[0].cum_exit_value - mine[0].cum_entry_value
    fees = (mine[0].open_fee or D(0)) + (mine[0].close_fee or D(0))
    hold(abs(mine[0].closed_pnl - (value - fees)) <= D("0.01"), f"{mine[0]}")


@case(53, "a funding instant is an execution, a log row and a change of the wallet",
      "4.7, A13", Need.PRICE)  # fmt: skip
async def funding(b: Bench) -> None:
    await b.open()
    size, mark = b.held(), (await b.quote()).mark_price or D(0)
    before = (await b.wallet()).wallet_balance
    rate = D("0.0003")
    b.controls.fund(b.symbol, rate)
    paid = (size * mark * rate).quantize(D("1e-8"))
    await b.until(
        lambda: (w := b.view.wallet) and w.wallet_balance == before - paid, "the wallet streamed"
    )
    rows = [e for e in await b.executions() if e.exec_type == "Funding"]
    equal([(e.exec_fee, e.exec_qty) for e in rows], [(paid, size)], "the execution (+ = paid)")
    log = await _log(b, b.client.gate.venue_clock.now_ms() - 60_000)
    funded = [r for r in log if r.type == "SETTLEMENT"]
    equal([r.funding for r in funded], [-paid], "the log (- = paid)")


@case(54, "open orders are read over all pages", "3.4, S6, W14", Need.MANY)
async def order_pages(b: Bench) -> None:
    price = await b.far("Buy")
    links = []
    for number in range(55):
        at = price - number * b.rules.tick_size
        links.append(await b.place(b.order("Buy", b.size(at, 1), at)))
    rows = await b.until_listed(lambda r: len(r) >= len(links), "all of them")
    equal(sorted(o.order_link_id for o in rows), sorted(links), "each once")
    await b.until(lambda: len(b.view.open_orders(b.symbol)) == len(links), "all streamed")
    await b.venue.cancel_entries(b.symbol, priority=LATER)
    await b.until(lambda: not b.view.open_orders(b.symbol), "all cancelled")


@case(55, "executions are read over all pages, each once", "3.4", Need.PRICE, Need.MANY)
async def execution_pages(b: Bench) -> None:
    price = await b.far("Buy")
    parts = 130
    link = await b.place(b.order("Buy", b.rules.qty_step * parts, price))
    await b.until_order(link, "New")
    for _ in range(parts):
        b.controls.prints(b.symbol, price, b.rules.qty_step, "Sell")
    await b.until_order(link, "Filled")
    rows = await b.executions(link)
    equal((len(rows), len({e.exec_id for e in rows})), (parts, parts), "rows, different ones")
    equal([e.exec_time for e in rows], sorted(e.exec_time for e in rows), "oldest first")
    await b.until(lambda: len(b.view.fills(rows[0].order_id)) == parts, "all streamed")


@case(56, "hedge mode holds both sides at once and closes each by its index",
      "3.3, A25", Need.HEDGE, Need.MONEY)  # fmt: skip
async def hedge(b: Bench) -> None:
    await _switch(b, PositionMode.HEDGE)
    try:
        await b.open("Buy", position_idx=1)
        await b.open("Sell", position_idx=2)
        slots = {p.position_idx: p.side for p in await b.slots() if p.size}
        equal(slots, {1: "Buy", 2: "Sell"}, "the slots")
        price = await b.far("Buy")
        bad = await b.venue.place(b.order("Buy", b.size(price), price), priority=LATER)
        equal(kind_of(bad, Refused, "index 0 in hedge mode").action, "adapt mode", "what to do")
        refused = await b.post("/v5/position/switch-mode", _mode(b, PositionMode.ONE_WAY))
        equal(refused.code, 110024, "no switch while something is held")
        await b.flatten()
        await b.until(lambda: not b.held(1) and not b.held(2), "flat")
    finally:
        await b.tidy()
        await _switch(b, PositionMode.ONE_WAY)


def _mode(b: Bench, mode: PositionMode) -> dict[str, Any]:
    return encode_switch_mode(mode, symbol=b.symbol)


async def _switch(b: Bench, mode: PositionMode) -> None:
    said = await b.post("/v5/position/switch-mode", _mode(b, mode))
    hold(said.code in (0, 110025), f"switch-mode: {said.code} {said.message}")


@case(57, "a liquidation is told: orders gone, BustTrade, flat", "4.6, A4, A5", Need.PRICE)
async def liquidated(b: Bench) -> None:
    before = (await b.slots())[0].leverage or D(10)
    await b.venue.set_leverage(b.symbol, D(20))
    try:
        await b.open()
        link = await b.rest()
        shown = (await b.slots())[0].liq_price
        hold(shown and shown < await b.last(), f"a liquidation price below: {shown}")
        wallet = (await b.wallet()).wallet_balance
        await b.venue.cancel(b.symbol, order_link_id=link, priority=LATER)
        await b.move((shown or D(0)) - b.rules.tick_size)
        await b.until(lambda: not b.held(), "taken over")
        kinds = [e.exec_type for e in b.told(ExecutionReport) if e.symbol == b.symbol]
        hold("BustTrade" in kinds, f"executions {kinds}")
        hold((await b.wallet()).wallet_balance < wallet, "the margin is lost")
        equal([o for o in b.told(OrderReport) if o.order_link_id == "" and o.is_open], [], "open")
    finally:
        b.controls.price(b.symbol, D(100))
        await b.venue.set_leverage(b.symbol, before)


@case(58, "what a human does at the venue's screen is seen", "11", Need.FAULTS)
async def by_hand(b: Bench) -> None:
    await b.open(stop_loss=await b.far("Buy"), tpsl_mode="Full")
    b.controls.human("remove_stop", b.symbol)
    await b.until(lambda: len(b.view.unprotected()) == 1, "the stop is gone")
    b.controls.human("close", b.symbol)
    await b.until(lambda: not b.held(), "closed by hand")
    await b.until(lambda: len({e.exec_id for n in b.news for e in n.executions}) >= 2, "both fills")

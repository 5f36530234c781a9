"""`zion explain`: one trade from signal to money."""

from decimal import Decimal
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.options import AsciiOption, JsonOption

if TYPE_CHECKING:
    from app.api.chain import Chain, Order
    from app.cli.out import Out
    from data.records.port import Store

app = typer.Typer(add_completion=False)


@app.command(
    help="Show one trade from signal to money: phases, checks, verdict, orders, fills.",
    epilog="Example:  zion explain 7f3a... --user ada",
)
def explain(
    trade_id: Annotated[str, typer.Argument(help="As `zion live status` and the log show it.")],
    user: Annotated[str, typer.Option(help="Name or id; needed where two have the trade.")] = "",
    json: JsonOption = False,
    ascii: AsciiOption = False,  # noqa: A002 - the flag's name
) -> None:
    """Show the trade."""
    import asyncio

    from app.cli.out import Out
    from app.cli.records import opened

    out = Out(json=json, ascii=ascii)

    async def ask() -> "Chain":
        async with opened() as store:
            return await find_chain(store, trade_id, user)

    found = asyncio.run(ask())
    if json:
        import msgspec

        out.document(msgspec.to_builtins(found))
        return
    show(out, found)


async def find_chain(store: "Store", trade_id: str, user: str = "") -> "Chain":
    """Return everything the store knows of a trade; a beginning of its id is enough."""
    from app.api.chain import chain
    from app.cli.records import ROWS_MAX, chosen_users, had, pages
    from engine.errors import UsageError

    found = [
        (row.user_id, trade)
        for row in await chosen_users(store, user)
        for trade in had(await store.trades(row.user_id, ROWS_MAX))
        if trade.trade_id.startswith(trade_id)
    ]
    exact = [pair for pair in found if pair[1].trade_id == trade_id]
    found = exact or found
    if not found:
        raise UsageError(f"no trade {trade_id!r}", hint="zion live trades lists them")
    if len(found) > 1:
        raise UsageError(
            f"{trade_id!r} may be {len(found)} trades",
            why=", ".join(trade.trade_id for _, trade in found[:5]),
            hint="write more of the id, or --user NAME",
        )
    user_id, trade = found[0]
    return chain(
        user_id,
        trade,
        verdicts=had(await store.verdicts(user_id, ROWS_MAX)),
        intents=had(await store.intents(user_id, trade.trade_id)),
        executions=had(await store.executions(user_id, 0, ROWS_MAX)),
        trace=[row async for row in pages(store, user_id)],
    )


def show(out: "Out", found: "Chain") -> None:
    """Write the chain as blocks, one after another."""
    from app.api.chain import plain
    from app.cli.out import utc

    trade = found.trade
    out.say(f"trade {trade.trade_id} · {trade.symbol} · {trade.status}")
    _signal(out, found)
    if found.verdict is not None:
        verdict = found.verdict
        out.say(f"\n  Verdict   {'approved' if verdict.approved else 'refused'}: {verdict.words}")
        if verdict.checks:
            out.table(("control", "value", "limit"), verdict.checks)
    if found.orders:
        out.say("\n  Orders")
        rows = [
            (
                order.leg,
                order.link_id,
                order.state,
                _wish(order),
                utc(order.created_ms),
            )
            for order in found.orders
        ]
        out.table(("leg", "link id", "state", "wish", "made (UTC)"), rows, left=4)
    if found.fills:
        out.say("\n  Fills")
        rows = [
            (utc(e.exec_time), e.leg, e.side, *map(plain, (e.qty, e.price, e.fee, e.pnl)))
            for e in found.fills
        ]
        out.table(("time (UTC)", "leg", "side", "qty", "price", "fee", "result"), rows, left=3)
    if found.steps:
        out.say("\n  What happened")
        for step in found.steps:
            out.say(f"  {utc(step.at_ms)}  {step.words}")
    _money(out, found)


def _signal(out: "Out", found: "Chain") -> None:
    from app.api.chain import plain
    from app.cli.out import number, percent, utc

    s, trade = found.signal, found.trade
    if s is None:
        out.say(f"\n  Signal    {trade.signal_id}, from before the recording that is left")
        return
    out.say(f"\n  Signal    {s.signal_id} · {utc(s.t)} UTC · profile {s.profile}")
    out.say(f"  2 Dump        {percent(s.drop)} from the high")
    out.say(f"  4 Base        floor {s.floor:.8g}, ATR {s.batr:.4g}")
    out.say(
        f"  5 Armed       level {s.level:.8g}, score {number(s.level_score, 2)},"
        f" {s.touches} touches"
    )
    out.say(f"  6 Breakout    close {s.close:.8g}")
    if s.quote is not None:
        q = s.quote
        out.say(
            f"  Quote         bid {q.bid:.8g}, ask {q.ask:.8g},"
            f" spread {number(q.spread_bps, 1)} bps, sweep {number(q.sweep_bps, 1)} bps"
            f" ({q.source})"
        )
    entry = plain(trade.entry_price) or "no fill"
    bought = sum((e.qty for e in found.fills if e.leg == "entry"), Decimal(0))
    out.say(f"  7 Entry       {entry}, quantity {plain(bought)}")
    stop = f"stop {plain(trade.stop_loss)}" if trade.stop_loss is not None else "no stop"
    end = f", closed by {trade.exit_kind}" if trade.exit_kind else ""
    out.say(f"  8 Managed     {stop}{end}")


def _wish(order: "Order") -> str:
    from app.api.chain import plain

    wish = order.wish
    if wish is None:
        return "unreadable"
    at = f" at {plain(wish.price)}" if wish.price is not None else ""
    stop = f", stop {plain(wish.stop_loss)}" if wish.stop_loss is not None else ""
    return f"{wish.side} {wish.order_type} {plain(wish.qty)}{at}{stop}"


def _money(out: "Out", found: "Chain") -> None:
    from app.cli.out import signed

    m = found.money
    r = "" if m.r is None else f"   {signed(float(m.r))} R"
    out.say(
        f"\n  Money     {signed(float(m.result_usdt))} result, {signed(-float(m.fees_usdt))} fees,"
        f" {signed(float(m.funding_usdt))} funding = {signed(float(m.net_usdt))} USDT{r}"
    )

"""`zion live`: look at the engines and steer them, from another process than theirs.

The kill switch stands in the store and needs no engine to take it. Everything else is a wish: it
stands in the store until the engine whose lease it is has taken it.
"""

from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from app.cli.options import JsonOption

if TYPE_CHECKING:
    from app.cli.out import Out
    from app.cli.steer import Steering
    from data.records.port import Store

T = TypeVar("T")
app = typer.Typer(
    no_args_is_help=True,
    help="The users' engines: how they are, pause, resume, kill, reconcile.",
    epilog="Example:  zion live status",
)
UserOption = Annotated[str, typer.Option("--user", help="Name or id; without it every user.")]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why; it stands in the audit.")]
WaitOption = Annotated[
    float, typer.Option("--wait", min=0, max=600, help="Seconds to wait for the engines.")
]


@app.command(help="One row a user: engine, trades, risk, what is not settled.",
             epilog="Example:  zion live status --user ada")  # fmt: skip
def status(user: UserOption = "", json: JsonOption = False) -> None:
    """Show every engine."""
    from app.cli.out import Out
    from app.cli.steer import overview

    out = Out(json=json)
    found = _with_store(lambda store: overview(store, user))
    if json:
        import msgspec

        out.document(msgspec.to_builtins(found))
        return
    if found.killed:
        out.say("the whole platform is killed: no entries by anyone")
    if not found.users:
        out.say("no users yet: zion user add NAME")
        return
    rows = [
        (u.name, u.mode, u.engine, u.open, u.resting, u.risk_usdt, u.unsettled) for u in found.users
    ]
    head = ("user", "mode", "engine", "open", "resting", "risk USDT", "unsettled")
    out.table(head, rows, left=3)


@app.command(help="The newest trades, whose ids `zion explain` takes.",
             epilog="Example:  zion live trades --user ada")  # fmt: skip
def trades(
    user: UserOption = "",
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many of each user.")] = 20,
    json: JsonOption = False,
) -> None:
    """List trades."""
    from app.api.chain import plain
    from app.cli.out import Out, signed, utc
    from app.cli.steer import newest_trades

    out = Out(json=json)
    found = _with_store(lambda store: newest_trades(store, user, limit))
    if json:
        import msgspec

        out.document([{"user": name, **msgspec.to_builtins(t)} for name, t in found])
        return
    rows = [
        (
            t.trade_id, name, t.symbol, t.status, utc(t.opened_ms) if t.opened_ms else "",
            plain(t.qty), signed(float(t.realised_usdt)), "" if t.r is None else signed(float(t.r)),
        )
        for name, t in found
    ]  # fmt: skip
    head = ("trade", "user", "coin", "status", "opened (UTC)", "qty", "USDT", "R")
    out.table(head, rows, left=5)


@app.command(help="No new entries; open trades are managed on.",
             epilog="Example:  zion live pause --user ada --reason holiday")  # fmt: skip
def pause(
    user: UserOption = "",
    reason: ReasonOption = "",
    wait: WaitOption = 10,
    json: JsonOption = False,
) -> None:
    """Ask engines to pause."""
    _steer("pause", user, reason, wait, json=json)


@app.command(help="Entries again, after a pause, a breaker or a kill.",
             epilog="Example:  zion live resume --user ada --reason checked")  # fmt: skip
def resume(
    user: UserOption = "",
    reason: ReasonOption = "",
    wait: WaitOption = 10,
    json: JsonOption = False,
) -> None:
    """Ask engines to go on; lifts the kill switch, which needs a reason."""
    _steer("resume", user, reason, wait, json=json)


@app.command(help="Compare the books with the venue now.",
             epilog="Example:  zion live reconcile --user ada")  # fmt: skip
def reconcile(
    user: UserOption = "",
    reason: ReasonOption = "",
    wait: WaitOption = 10,
    json: JsonOption = False,
) -> None:
    """Ask engines to read their accounts anew."""
    _steer("reconcile", user, reason, wait, json=json)


@app.command(help="No entry leaves, from now on and after every restart; stops stay."
             " Works without the service. With --yes-close N the N open trades are closed too.",
             epilog="Example:  zion live kill --user ada --yes-close 2")  # fmt: skip
def kill(
    user: UserOption = "",
    reason: ReasonOption = "",
    yes_close: Annotated[
        int | None, typer.Option("--yes-close", min=0, help="Close all; N as counted now.")
    ] = None,
    wait: WaitOption = 10,
    json: JsonOption = False,
) -> None:
    """Throw the switch of a user, or of the whole platform."""
    from app.cli.out import Out
    from app.cli.steer import kill as throw

    out = Out(json=json)
    found = _with_store(
        lambda store: throw(store, user, reason=reason, close=yes_close, wait_s=wait)
    )
    _told(out, found)


def _steer(action: str, user: str, reason: str, wait_s: float, *, json: bool) -> None:
    from app.cli.out import Out
    from app.cli.steer import wish

    out = Out(json=json)
    found = _with_store(lambda store: wish(store, action, user, reason=reason, wait_s=wait_s))
    _told(out, found)


def _told(out: "Out", found: "Sequence[Steering]") -> None:
    import msgspec

    out.document(msgspec.to_builtins(list(found)))
    for one in found:
        out.say(f"  {one.name}: {one.words}")
    if any(not one.done for one in found):
        out.say("What waits stands in the store: the engine takes it as soon as one runs.")


def _with_store(ask: "Callable[[Store], Coroutine[Any, Any, T]]") -> T:
    import asyncio

    from app.cli.records import opened

    async def run() -> T:
        async with opened() as store:
            return await ask(store)

    return asyncio.run(run())

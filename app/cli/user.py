"""`zion user`: the platform's users, until they sign up by themselves."""

from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.options import JsonOption
from app.cli.settings_file import read_settings

if TYPE_CHECKING:
    from data.records.port import Store
    from data.records.rows import UserRow
    from engine.account.settings import UserSettings

app = typer.Typer(
    no_args_is_help=True,
    help="The users whose accounts are traded.",
    epilog="Example:  zion user add ada --settings careful",
)
MODES = ("sim", "paper", "demo", "testnet", "live")
NAME_CHARS_MAX = 64


@app.command(help="Make a user. It trades as soon as the service runs, in the mode given.",
             epilog="Example:  zion user add ada --settings careful --mode sim")  # fmt: skip
def add(
    name: Annotated[str, typer.Argument(help="What the user is called here; one a name.")],
    settings: Annotated[
        str, typer.Option(help="standard, careful, or a TOML or JSON file of what differs.")
    ] = "standard",
    mode: Annotated[
        str, typer.Option(help="sim, paper, demo, testnet, live; the deployment's by default.")
    ] = "",
    json: JsonOption = False,
) -> None:
    """Add a user."""
    import asyncio

    from app.cli.out import Out
    from app.cli.records import opened
    from live.clock import SystemClock
    from live.settings import load_settings

    highest = load_settings().settings.venue
    made = new_user(name, mode or highest, highest, at_ms=SystemClock().now_ms())
    chosen = read_settings(settings)

    async def run() -> None:
        async with opened() as store:
            await add_user(store, made, chosen)

    asyncio.run(run())
    out = Out(json=json)
    out.document({"user_id": made.user_id, "name": made.name, "mode": made.mode})
    out.say(f"{made.name} · {made.mode} · {made.user_id}")


@app.command("list", help="Every user, oldest first.", epilog="Example:  zion user list --json")
def list_users(json: JsonOption = False) -> None:
    """List users."""
    import asyncio

    import msgspec

    from app.cli.out import Out, utc
    from app.cli.records import chosen_users, opened

    async def run() -> "list[UserRow]":
        async with opened() as store:
            return list(await chosen_users(store, ""))

    users = asyncio.run(run())
    out = Out(json=json)
    out.document(msgspec.to_builtins(users))
    if not users:
        out.say("no users yet: zion user add NAME")
        return
    rows = [
        (u.name, u.mode, "killed" if u.killed else "active" if u.active else "off",
         utc(u.created_ms), u.user_id)
        for u in users
    ]  # fmt: skip
    out.table(("user", "mode", "state", "since (UTC)", "id"), rows, left=5)


def new_user(name: str, mode: str, highest: str, *, at_ms: int) -> "UserRow":
    """Return a user's row; never above the deployment's mode, and live needs arming besides."""
    from app.ids import new_id
    from data.records.rows import UserRow
    from engine.errors import UsageError

    if not name.strip() or len(name) > NAME_CHARS_MAX or not name.isprintable():
        raise UsageError(f"{name!r} is no name", hint=f"1 to {NAME_CHARS_MAX} printable signs")
    if mode not in MODES:
        raise UsageError(f"no mode {mode!r}", hint=", ".join(MODES))
    if MODES.index(mode) > MODES.index(highest):
        raise UsageError(f"mode {mode} is above this deployment's", why=f"ZION_VENUE is {highest}")
    return UserRow(user_id=new_id(), name=name.strip(), mode=mode, created_ms=at_ms)


async def add_user(store: "Store", user: "UserRow", settings: "UserSettings") -> None:
    """Write a user with version 1 of settings; a name is given once."""
    import msgspec

    from app.cli.records import had
    from data.records.rows import SettingsRow
    from engine.errors import UsageError

    if any(u.name == user.name for u in had(await store.users())):
        raise UsageError(f"there is a user {user.name!r} already", hint="zion user list")
    row = SettingsRow(
        user_id=user.user_id,
        version=1,
        body=msgspec.json.encode(settings),
        created_ms=user.created_ms,
        actor="admin:cli",
    )
    had(await store.add_user(user, row))

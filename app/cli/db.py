"""`zion db`: the schema of the database, and whether its chains hold."""

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.out import Out, number
from engine.errors import PromiseBroken

if TYPE_CHECKING:
    from data.records.chain import Broken
    from data.records.port import Store

app = typer.Typer(
    no_args_is_help=True,
    help="The database that DATABASE_URL names, else zion.db at home: its schema, its chains.",
    epilog="Example:  zion db check",
)
_PAGE_ROWS = 5_000


@app.callback()
def db() -> None:
    """Group the commands."""


@app.command(
    help="Bring the database to this version's schema, all or nothing; make it when it is not"
    " there. Two at once are harmless. A newer schema is left alone (exit 3).",
    epilog="Example:  DATABASE_URL=postgresql://user:pw@host/zion zion db upgrade",
)
def upgrade(
    *, json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False
) -> None:
    """Run every migration that is missing."""
    from data.records.opening import shown, upgrade_database
    from live.settings import load_settings

    address = load_settings().settings.database_address
    before, after = asyncio.run(upgrade_database(address))
    out = Out(json=json)
    out.document({"address": shown(address), "before": before.found, "after": after.found})
    words = "was up to date" if before == after else f"from {before.found or 'empty'}"
    out.say(f"{shown(address)}: schema {after.found}, {words}.")


@app.command(
    help="Say which schema the database has, and verify the audit chain of every user: a changed,"
    " missing or swapped row is named (exit 4). Another schema than this version's: exit 3.",
    epilog="Example:  zion db check --json",
)
def check(
    *, json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False
) -> None:
    """Look at the schema and walk the chains."""
    from data.records.opening import shown
    from live.settings import load_settings

    address = load_settings().settings.database_address
    rows, broken = asyncio.run(_check(address))
    out = Out(json=json)
    links = sum(rows.values())
    told = [{"user_id": u, "seq": b.seq, "reason": b.reason} for u, b in broken.items()]
    out.document({"address": shown(address), "links": links, "chains": len(rows), "broken": told})
    for user_id, found in broken.items():
        out.broken(f"chain of {user_id or 'the platform'}, link {found.seq}: {found.reason}")
    out.say(f"{shown(address)}: {number(links)} links in {number(len(rows))} chains.")
    if broken:
        raise PromiseBroken(
            f"{len(broken)} of {len(rows)} audit chains are broken",
            why="rows were changed, taken out or put in from outside",
            hint="compare with a backup; the engine's own books are in executions and ledger",
        )


async def _check(address: str) -> "tuple[dict[str, int], dict[str, Broken]]":
    """Return links by user, and where a chain does not hold."""
    from app.cli.records import had
    from data.records.opening import open_store
    from live.clock import SystemClock

    store = await open_store(address, SystemClock())
    try:
        rows: dict[str, int] = {}
        broken: dict[str, Broken] = {}
        for user_id in ["", *(user.user_id for user in had(await store.users()))]:
            rows[user_id], found = await _walk(store, user_id)
            if found is not None:
                broken[user_id] = found
        return rows, broken
    finally:
        await store.close()


async def _walk(store: "Store", user_id: str) -> "tuple[int, Broken | None]":
    from app.cli.records import had
    from data.records.chain import GENESIS, Broken, verify_chain

    # The head first: links that a running engine adds meanwhile are not asked for.
    seq_end, hash_end = had(await store.chain_head(user_id))
    seq, prev = 0, GENESIS
    while seq < seq_end:
        limit = min(_PAGE_ROWS, seq_end - seq)
        links = had(await store.audit(user_id, seq, limit))
        found = verify_chain(links, user_id=user_id, after_seq=seq, after_hash=prev)
        if found is not None or not links:
            return seq, found or Broken(seq=seq + 1, reason="the rest of the chain is missing")
        seq, prev = links[-1].seq, links[-1].hash
    if prev != hash_end:
        return seq, Broken(seq=seq, reason="the last link is not the one the head names")
    if had(await store.audit(user_id, seq_end, 1)) and had(await store.chain_head(user_id)) == (
        seq_end,
        hash_end,
    ):
        return seq, Broken(seq=seq + 1, reason="a link stands behind the head")
    return seq, None

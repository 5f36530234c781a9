"""A burst of messages decided in a row, and the one commit that writes it down. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from data.records.rows import Commit, IntentRow, TraceRow
from engine.account import messages as m
from engine.account.commands import AlertRecord, AnyCommand, AnyRecord, AuditRecord, PlaceOrder
from engine.account.settings import UserSettings
from live.accounts.inbox import Rank, rank_of
from live.accounts.intents import Intents
from live.accounts.ports import Brain
from live.accounts.sound import sound

VOLATILE_MAX = 200  # messages that only moved a price are written down with the next decision
SEQ_PER_VERSION = 10_000  # a trace's number: version, then place within the burst

_write_message = msgspec.json.Encoder(decimal_format="string").encode


@dataclass(slots=True)
class Decided:
    """What a burst came to, so far."""

    state: Any
    params: UserSettings
    at_ms: int
    commands: list[AnyCommand] = field(default_factory=list)
    records: list[AnyRecord] = field(default_factory=list)
    rows: dict[str, IntentRow] = field(default_factory=dict)
    told: list[m.Message] = field(default_factory=list)


def decide_one(
    brain: Brain, out: Decided, waiting: m.Message, intents: Intents
) -> Exception | None:
    """Decide one message more; returns the error of a brain that cannot take it."""
    try:
        kept = sound(waiting)
        if kept is None:
            return None
        message = msgspec.structs.replace(kept, at_ms=out.at_ms)
        params = out.params
        if isinstance(message, m.SettingsChanged):  # an older version, come late, changes nothing
            newer = message.version > brain.settings_version(out.state)
            params = message.settings if newer else params
        said = brain.decide(out.state, message, params)
    except Exception as error:  # noqa: BLE001 - a poisoned message must not stop the others
        return error
    row = intents.heard(message)
    said_something = bool(said.commands or said.records or row is not None)
    out.params = params
    if not said_something and brain.same(out.state, said.state):
        return None  # time passed, or a word was told twice: no line in the recording
    out.state = said.state
    if row is not None:
        out.rows[row.link_id] = row
    orders = [c for c in said.commands if isinstance(c, PlaceOrder)]
    new = intents.wanted(orders, said.records, out.at_ms)
    fresh = {row.link_id for row in new}
    out.rows.update((row.link_id, row) for row in new)
    # An id is placed once: an order wanted again under the same id is the same order.
    out.commands += [
        c for c in said.commands if not isinstance(c, PlaceOrder) or c.link_id in fresh
    ]
    out.records += said.records
    out.told.append(message)
    return None


def dead_letter(message: m.Message, error: Exception, number: str) -> list[AnyRecord]:
    """Return what is written down of a message that was put aside."""
    kind = type(message).__name__
    words = f"a message ({kind}) could not be understood and was put aside"
    return [
        AuditRecord(
            cause="dead_letter",
            actor="engine",
            detail={"message": kind, "error": type(error).__name__},
        ),
        AlertRecord(
            event_id=f"poison-{kind}-{number}", kind="error", severity="critical", words=words
        ),
    ]


def worth_writing(decided: Decided, before: Any, volatile: int) -> bool:
    """Tell whether a burst must be on disk now; a moved price goes with the next one."""
    if decided.commands or decided.records or decided.rows:
        return True
    if decided.state == before:
        return False
    moved = all(rank_of(told) is Rank.MARKET for told in decided.told)
    return not moved or volatile + len(decided.told) > VOLATILE_MAX


def commit_of(
    user_id: str, brain: Brain, decided: Decided, before: Sequence[m.Message], version: int
) -> Commit:
    """Return the commit of a burst, with the messages `before` it that were not written yet.

    The hash of a trace is that of the state after the whole burst; those before the last have none.
    """
    digest = brain.digest(decided.state)
    told = [*before, *decided.told]
    first = (version + 1) * SEQ_PER_VERSION
    return Commit(
        user_id=user_id,
        epoch=0,  # the journal's
        version=version,
        at_ms=decided.at_ms,
        state=brain.encode(decided.state),
        state_hash=digest,
        intents=tuple(decided.rows.values()),
        records=tuple(decided.records),
        traces=tuple(
            TraceRow(
                user_id=user_id,
                seq=first + number,
                at_ms=message.at_ms,
                body=_write_message(message),
                state_hash=digest if number == len(told) - 1 else "",
            )
            for number, message in enumerate(told)
        ),
    )

"""A recorded live trace through the same `decide` again: same verdicts, same states, row by row.

A recording is a text file, one JSON object a line: a head (whose, under which settings it
began), the messages in order with the hash of the state after each, the verdicts, and a tail with
the counts: a file cut short is no recording.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from data.records.rows import TraceRow
from engine.account.commands import Record, VerdictRecord
from engine.account.messages import AnyMessage, SettingsChanged
from engine.account.settings import UserSettings
from engine.errors import DataError
from live.accounts.burst import SEQ_PER_VERSION

FORMAT = 1
NOT_DECIDED = frozenset({"inbox_full"})  # verdicts that never reached `decide`


class Head(msgspec.Struct, frozen=True, kw_only=True, tag="head"):
    """Whose recording it is, and the settings at its beginning."""

    format: int
    user_id: str
    settings_version: int
    settings: UserSettings


class Row(msgspec.Struct, frozen=True, kw_only=True, tag="row"):
    """A message as `decide` was told it, and the state's hash after it; "" within a burst."""

    seq: int
    at_ms: int
    message: msgspec.Raw
    state_hash: str


class Verdict(msgspec.Struct, frozen=True, kw_only=True, tag="verdict"):
    """A verdict as the store has it."""

    verdict: VerdictRecord


class Tail(msgspec.Struct, frozen=True, kw_only=True, tag="tail"):
    """The end."""

    rows: int
    verdicts: int


_line = msgspec.json.Decoder(Head | Row | Verdict | Tail)
_message = msgspec.json.Decoder(AnyMessage)


@dataclass(frozen=True, slots=True)
class Recording:
    """What was recorded of one user."""

    head: Head
    rows: Sequence[Row]
    verdicts: Sequence[VerdictRecord] = ()


@dataclass(frozen=True, slots=True)
class Brain:
    """The functions that are played again."""

    fresh: Callable[[str, int], Any]
    decide: Callable[[Any, Any, UserSettings], Any]
    digest: Callable[[Any], str]


@dataclass(slots=True)
class Replayed:
    """What came of it. `difference`: the first one, in words; "" for none."""

    rows: int = 0
    verdicts: int = 0
    difference: str = ""
    seq: int = 0  # of the first difference
    kinds: dict[str, int] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """Return the result as plain values."""
        return {
            "rows": self.rows,
            "verdicts": self.verdicts,
            "messages": self.kinds,
            "difference": self.difference,
            "seq": self.seq,
        }


def own_brain() -> Brain:
    """Return the brain that trades."""
    from engine.account.decide import decide
    from engine.account.state import fresh, state_hash

    return Brain(fresh, decide, state_hash)


# ---------------------------------------------------------------------------- file


def write(
    user_id: str,
    version: int,
    settings: UserSettings,
    trace: Iterable[TraceRow],
    verdicts: Iterable[VerdictRecord],
) -> Iterator[bytes]:
    """Yield the lines of a recording.

    Raises
    ------
    DataError
        The store's trace no longer begins at the user's first message.
    """
    encode = msgspec.json.encode
    yield encode(Head(format=FORMAT, user_id=user_id, settings_version=version, settings=settings))
    rows, before = 0, 0
    for row in trace:
        rows += 1
        version = row.seq // SEQ_PER_VERSION
        if version not in {before, before + 1}:
            raise DataError(
                f"the recording has no rows of version {before + 1}",
                why=f"it goes on with {version}: a replay starts from nothing and needs them all",
            )
        before = version
        yield encode(
            Row(
                seq=row.seq,
                at_ms=row.at_ms,
                message=msgspec.Raw(row.body),
                state_hash=row.state_hash,
            )
        )
    count = 0
    for verdict in verdicts:
        count += 1
        yield encode(Verdict(verdict=verdict))
    yield encode(Tail(rows=rows, verdicts=count))


def read(lines: Iterable[bytes], name: str) -> Recording:
    """Read a recording.

    Raises
    ------
    DataError
        It is none, is of another format, or ends too early. Names the line.
    """
    head: Head | None = None
    rows: list[Row] = []
    verdicts: list[VerdictRecord] = []
    for number, line in enumerate(lines, 1):
        try:
            part = _line.decode(line)
        except (msgspec.DecodeError, ArithmeticError, ValueError) as error:
            raise DataError(f"{name}, line {number}: not of a recording", why=str(error)) from None
        if isinstance(part, Head):
            head = part
        elif isinstance(part, Row):
            rows.append(part)
        elif isinstance(part, Verdict):
            verdicts.append(part.verdict)
        elif (part.rows, part.verdicts) != (len(rows), len(verdicts)):
            break
        elif head is not None and head.format == FORMAT:
            return Recording(head, rows, verdicts)
    raise DataError(
        f"{name} is no whole recording",
        why="its head or its end is missing, or the counts do not agree",
        hint="zion replay --user NAME --out FILE writes one",
    )


# ---------------------------------------------------------------------------- replay


def began_under(
    user_id: str,
    versions: Sequence[tuple[int, UserSettings]],
    first: Sequence[TraceRow],
    brain: Brain,
) -> tuple[int, UserSettings]:
    """Return under which of a user's settings a recording began: those its first burst agrees with.

    Parameters
    ----------
    versions : sequence
        Oldest first; the oldest is returned where none agrees, and the replay says where.
    first : sequence of TraceRow
        The first burst.
    """
    for version, settings in versions:
        rows = [
            Row(seq=r.seq, at_ms=r.at_ms, message=msgspec.Raw(r.body), state_hash=r.state_hash)
            for r in first
        ]
        head = Head(format=FORMAT, user_id=user_id, settings_version=version, settings=settings)
        found = replay(Recording(head, rows), brain)
        if rows and found.rows == len(rows) and not found.seq:
            return version, settings
    return versions[0]


def replay(recording: Recording, brain: Brain) -> Replayed:
    """Play a recording; stops at the first difference."""
    head, done = recording.head, Replayed()
    state, settings = brain.fresh(head.user_id, head.settings_version), head.settings
    decided = [v for v in recording.verdicts if v.reason not in NOT_DECIDED]
    said: dict[str, VerdictRecord] = {}
    for row in recording.rows:
        try:
            message = _message.decode(row.message)
        except (msgspec.DecodeError, ArithmeticError, ValueError) as error:
            return _differs(done, row, f"the message cannot be read: {error}")
        kind = type(message).__name__
        done.kinds[kind] = done.kinds.get(kind, 0) + 1
        if isinstance(message, SettingsChanged):
            settings = message.settings
        decision = brain.decide(state, message, settings)
        state = decision.state
        done.rows += 1
        said |= _verdicts(decision.records)
        found = brain.digest(state) if row.state_hash else ""
        if found != row.state_hash:
            return _differs(
                done, row, f"{kind}: state {found[:16]}, recorded {row.state_hash[:16]}"
            )
    _compare(done, said, {v.signal_id: v for v in decided})
    return done


def _verdicts(records: Iterable[Record]) -> dict[str, VerdictRecord]:
    return {r.signal_id: r for r in records if isinstance(r, VerdictRecord)}


def _differs(done: Replayed, row: Row, words: str) -> Replayed:
    done.difference, done.seq = words, row.seq
    return done


def _compare(
    done: Replayed, said: Mapping[str, VerdictRecord], stored: Mapping[str, VerdictRecord]
) -> None:
    for signal_id in sorted({*said, *stored}):
        ours, theirs = said.get(signal_id), stored.get(signal_id)
        if ours != theirs:
            done.difference = (
                f"verdict of {signal_id}: {_words(ours)} now, {_words(theirs)} recorded"
            )
            return
        done.verdicts += 1


def _words(verdict: VerdictRecord | None) -> str:
    if verdict is None:
        return "none"
    return f"{verdict.reason} ({verdict.words})"

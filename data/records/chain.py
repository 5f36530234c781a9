"""A user's audit chain: every link carries the hash of the one before. Pure.

`hash = sha256(prev_hash | canonical JSON of everything else)`: whoever flips a byte, takes a row
out or swaps two has to rewrite every later link, and the head that the store keeps beside it.
"""

import hashlib
from collections.abc import Iterable

import msgspec

from data.records.rows import AuditRow

GENESIS = ""  # what the first link names as the one before it

_canonical = msgspec.json.Encoder(order="deterministic", decimal_format="string").encode


def canonical(value: object) -> bytes:
    """Return the one JSON text of a value: sorted keys, no blanks, Decimals as text."""
    return _canonical(value)


def link_hash(row: AuditRow) -> str:
    """Return the hash a link must have, computed from the rest of it."""
    rest = (
        row.user_id,
        row.seq,
        row.at_ms,
        row.epoch,
        row.actor,
        row.cause,
        row.before_hash,
        row.after_hash,
        row.detail.hex(),
    )
    return hashlib.sha256(f"{row.prev_hash}|".encode() + canonical(rest)).hexdigest()


def link(
    *,
    user_id: str,
    seq: int,
    at_ms: int,
    epoch: int,
    actor: str,
    cause: str,
    before_hash: str,
    after_hash: str,
    detail: object,
    prev_hash: str,
) -> AuditRow:
    """Make the next link of a chain."""
    row = AuditRow(
        user_id=user_id,
        seq=seq,
        at_ms=at_ms,
        epoch=epoch,
        actor=actor,
        cause=cause,
        before_hash=before_hash,
        after_hash=after_hash,
        detail=canonical(detail),
        prev_hash=prev_hash,
        hash="",
    )
    return msgspec.structs.replace(row, hash=link_hash(row))


class Broken(msgspec.Struct, frozen=True, kw_only=True):
    """Where a chain does not hold, and how."""

    seq: int
    reason: str


def verify_chain(
    rows: Iterable[AuditRow],
    *,
    user_id: str | None = None,
    after_seq: int = 0,
    after_hash: str = GENESIS,
    head: tuple[int, str] | None = None,
) -> Broken | None:
    """Return the first place where a chain is broken, None when it holds.

    Parameters
    ----------
    rows : iterable of AuditRow
        Links in order, the first one following `after_seq`. May be a part of a chain: verify the
        next part with `after_seq` and `after_hash` of this part's last link.
    user_id : str, optional
        Whose chain it is; the first link's by default.
    head : (seq, hash), optional
        The last link as the store's head names it. Only with it is a cut tail seen.
    """
    seq, prev = after_seq, after_hash
    for row in rows:
        user_id = row.user_id if user_id is None else user_id
        if row.seq != seq + 1:
            return Broken(seq=seq + 1, reason=f"link {seq + 1} is missing, {row.seq} follows")
        if row.user_id != user_id:
            return Broken(seq=row.seq, reason="the link is another user's")
        if row.prev_hash != prev:
            return Broken(seq=row.seq, reason="the link does not name the one before it")
        if row.hash != link_hash(row):
            return Broken(seq=row.seq, reason="the link was changed after it was written")
        seq, prev = row.seq, row.hash
    if head is not None and head != (seq, prev):
        return Broken(seq=seq + 1, reason=f"the chain ends at {seq}, its head says {head[0]}")
    return None

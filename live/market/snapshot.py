"""A scanner's state as one file: written whole or not at all, read to the bit or refused."""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np

from engine.pipeline.phase import CONTEXT, EVENT, STATE_SCHEMA, schema_hash
from engine.risk.regime import Regime
from live.market.signals import Told

_MAGIC = b"ZIONSNAP2\n"
EVENT_SCHEMA = schema_hash(EVENT)


class SnapshotUnusable(Exception):  # noqa: N818 - it names the event
    """A snapshot cannot be used; the message says why. The answer is to rebuild from history."""


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What the layer remembers beside the detectors: marks of what was told, the regime."""

    told: Told = Told()
    regime: Regime = Regime()


class _Header(msgspec.Struct, frozen=True):
    schema: int
    params_hash: int
    interval_ms: int
    minute: int
    symbols: list[str]
    active: list[bool]
    last: list[int]
    sizes: list[int]  # bars kept of each symbol
    market_rows: int
    events: int
    event_schema: int
    digest: str
    kept: Kept = Kept()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that decides, for every symbol that has a detector.

    Attributes
    ----------
    minute : int
        Open time of the bar to be decided next.
    symbols, active, last
        Per symbol: name, watched or not, the last bar its detector has seen.
    contexts : array of `CONTEXT`
    since : int64[n]
    windows : mapping from row to (int64[m], float64[6, m])
        The rolling bars.
    market_ts, market : int64[k], float64[k, 4]
        Facts told to the detectors so far.
    events : array of `EVENT`
        The newest events, for the pages; they decide nothing.
    kept : Kept
    """

    interval_ms: int
    params_hash: int
    minute: int
    symbols: tuple[str, ...]
    active: tuple[bool, ...]
    last: tuple[int, ...]
    contexts: np.ndarray
    since: np.ndarray
    windows: Mapping[int, tuple[np.ndarray, np.ndarray]]
    market_ts: np.ndarray
    market: np.ndarray
    events: np.ndarray = field(default_factory=lambda: np.zeros(0, EVENT))
    kept: Kept = field(default_factory=Kept)
    notes: tuple[str, ...] = ()  # what a person should know of its reading


def write_snapshot(path: Path, snapshot: Snapshot) -> int:
    """Write a snapshot: beside its place, flushed to disk, then renamed. Returns its bytes."""
    n = len(snapshot.symbols)
    empty = (np.zeros(0, np.int64), np.zeros((6, 0)))
    windows = [snapshot.windows.get(i, empty) for i in range(n)]
    parts = [snapshot.contexts[:n].tobytes(), snapshot.since[:n].astype(np.int64).tobytes()]
    for ts, values in windows:
        parts += [ts.astype(np.int64).tobytes(), np.ascontiguousarray(values, np.float64).tobytes()]
    parts += [
        snapshot.market_ts.astype(np.int64).tobytes(),
        snapshot.market.astype(np.float64).tobytes(),
        snapshot.events.tobytes(),
    ]
    body = b"".join(parts)
    header = msgspec.json.encode(
        _Header(
            schema=STATE_SCHEMA,
            params_hash=snapshot.params_hash,
            interval_ms=snapshot.interval_ms,
            minute=snapshot.minute,
            symbols=list(snapshot.symbols),
            active=list(snapshot.active),
            last=list(snapshot.last),
            sizes=[len(ts) for ts, _ in windows],
            market_rows=len(snapshot.market_ts),
            events=len(snapshot.events),
            event_schema=EVENT_SCHEMA,
            digest=hashlib.blake2b(body, digest_size=16).hexdigest(),
            kept=snapshot.kept,
        )
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(path.name + ".tmp")
    try:
        with beside.open("wb") as file:
            file.write(_MAGIC + len(header).to_bytes(4, "big") + header + body)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError:
        beside.unlink(missing_ok=True)
        raise
    return len(_MAGIC) + 4 + len(header) + len(body)


def read_snapshot(path: Path, *, interval_ms: int, params_hash: int) -> Snapshot:
    """Read a snapshot back.

    Raises
    ------
    SnapshotUnusable
        No file, damaged, or made by another record layout, profile or interval.
    """
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise SnapshotUnusable("there is no snapshot") from None
    except OSError as error:
        raise SnapshotUnusable(f"{path} cannot be read: {error}") from error
    start = len(_MAGIC) + 4
    if raw[: len(_MAGIC)] != _MAGIC or len(raw) < start:
        raise SnapshotUnusable(f"{path} is not a snapshot")
    size = int.from_bytes(raw[len(_MAGIC) : start], "big")
    try:
        header = msgspec.json.decode(raw[start : start + size], type=_Header)
    except msgspec.DecodeError as error:
        raise SnapshotUnusable(f"{path} is damaged: {error}") from error
    body = memoryview(raw)[start + size :]
    if header.schema != STATE_SCHEMA:
        raise SnapshotUnusable("the snapshot was made by another version of the detector's record")
    if header.params_hash != params_hash:
        raise SnapshotUnusable("the snapshot was made with another profile")
    if header.interval_ms != interval_ms:
        raise SnapshotUnusable("the snapshot was made for another interval")
    if hashlib.blake2b(body, digest_size=16).hexdigest() != header.digest:
        raise SnapshotUnusable(f"{path} is damaged: its bytes do not match its hash")
    return _parse(header, body)


def _parse(header: _Header, body: memoryview) -> Snapshot:
    at = 0

    def take(dtype: np.dtype, count: int) -> np.ndarray:
        nonlocal at
        out = np.frombuffer(body, dtype, count, at).copy()
        at += count * dtype.itemsize
        return out

    whole, real = np.dtype(np.int64), np.dtype(np.float64)
    n = len(header.symbols)
    contexts = take(CONTEXT, n)
    since = take(whole, n)
    windows = {}
    for row, size in enumerate(header.sizes):
        ts = take(whole, size)
        windows[row] = (ts, take(real, 6 * size).reshape(6, size))
    market_ts = take(whole, header.market_rows)
    market = take(real, 4 * header.market_rows).reshape(-1, 4)
    known = header.event_schema == EVENT_SCHEMA  # else the pages begin without a past
    events = take(EVENT, header.events if known else 0)
    return Snapshot(
        interval_ms=header.interval_ms,
        params_hash=header.params_hash,
        minute=header.minute,
        symbols=tuple(header.symbols),
        active=tuple(header.active),
        last=tuple(header.last),
        contexts=contexts,
        since=since,
        windows=windows,
        market_ts=market_ts,
        market=market,
        events=events,
        kept=header.kept,
    )

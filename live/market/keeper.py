"""Where the detector's state lives between runs: a file, a database, or both."""

import hashlib
import zlib
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

import msgspec
import numpy as np

from data.records.rows import ContextRow, Unavailable
from engine.pipeline.phase import CONTEXT, EVENT, STATE_SCHEMA
from live.market.snapshot import (
    EVENT_SCHEMA,
    Kept,
    Snapshot,
    SnapshotUnusable,
    read_snapshot,
    write_snapshot,
)

T = TypeVar("T")
Offload = Callable[..., Awaitable[Any]]
_ALL = "*"  # the row of what belongs to no coin; no symbol is called so


async def inline(call: Callable[..., T], *arguments: Any) -> T:
    """Run work where it is called: simulations, whose loop knows no threads."""
    return call(*arguments)


class ContextKeeper(Protocol):
    """Keeps one profile's state."""

    async def load(self, *, interval_ms: int, params_hash: int) -> Snapshot:
        """Return what was saved; `SnapshotUnusable` says why there is nothing to be used."""
        ...

    async def save(self, snapshot: Snapshot) -> int:
        """Keep it; returns its bytes. `OSError` where it cannot be written."""
        ...


class FileKeeper:
    """One file, written whole or not at all."""

    def __init__(self, path: Path, offload: Offload) -> None:
        self._path = path
        self._offload = offload

    async def load(self, *, interval_ms: int, params_hash: int) -> Snapshot:
        """Read the file."""
        return read_snapshot(self._path, interval_ms=interval_ms, params_hash=params_hash)

    async def save(self, snapshot: Snapshot) -> int:
        """Write the file."""
        return await self._offload(write_snapshot, self._path, snapshot)


class Contexts(Protocol):
    """The part of a store that keeps contexts (`data.records.port.Store`)."""

    async def save_contexts(self, rows: Sequence[ContextRow]) -> Unavailable | None:
        """Write contexts (upsert by profile, interval, symbol)."""
        ...

    async def contexts(self, profile: str, interval: str) -> Sequence[ContextRow] | Unavailable:
        """Return every context of a profile."""
        ...


class _Coin(msgspec.Struct, frozen=True, array_like=True):
    """A coin's row."""

    context: bytes
    since: int
    last: int
    active: bool
    stamps: bytes
    bars: bytes


class _Whole(msgspec.Struct, frozen=True, array_like=True):
    """What belongs to all coins."""

    symbols: list[str]
    interval_ms: int
    market_ts: bytes
    market: bytes
    event_schema: int
    events: bytes
    kept: Kept


_coin, _whole = msgspec.msgpack.Decoder(_Coin), msgspec.msgpack.Decoder(_Whole)


class StoreKeeper:
    """A row a coin in a store: a deployment without a disk restores from it.

    Parameters
    ----------
    store : Contexts
    profile, interval : str
    window_bars : int
        Bars kept a coin: what the market's facts need, charts fill up again by themselves.
    offload : callable
        Packs the rows away from the loop, or on it.
    """

    def __init__(
        self, store: Contexts, profile: str, interval: str, window_bars: int, offload: Offload
    ) -> None:
        self._store = store
        self._profile = profile
        self._interval = interval
        self._window_bars = window_bars
        self._offload = offload

    # ------------------------------------------------------------------ out

    async def save(self, snapshot: Snapshot) -> int:
        """Write every row in one call."""
        rows = await self._offload(self._rows, snapshot)
        failed = await self._store.save_contexts(rows)
        if failed is not None:
            raise OSError(f"the store does not take the contexts: {failed.reason}")
        return sum(len(row.body) for row in rows)

    def _rows(self, snapshot: Snapshot) -> list[ContextRow]:
        rows = [self._row(snapshot, _ALL, _pack_whole(snapshot))]
        for at, symbol in enumerate(snapshot.symbols):
            ts, values = snapshot.windows.get(at, (np.zeros(0, np.int64), np.zeros((6, 0))))
            newest = slice(max(0, len(ts) - self._window_bars), None)
            coin = _Coin(
                snapshot.contexts[at].tobytes(),
                int(snapshot.since[at]),
                snapshot.last[at],
                snapshot.active[at],
                ts[newest].astype(np.int64).tobytes(),
                np.ascontiguousarray(values[:, newest], np.float64).tobytes(),
            )
            rows.append(self._row(snapshot, symbol, msgspec.msgpack.encode(coin)))
        return rows

    def _row(self, snapshot: Snapshot, symbol: str, plain: bytes) -> ContextRow:
        body = zlib.compress(plain, 1)
        return ContextRow(
            profile=self._profile,
            interval=self._interval,
            symbol=symbol,
            minute=snapshot.minute,
            schema_hash=STATE_SCHEMA,
            params_hash=snapshot.params_hash,
            body=body,
            checksum=_digest(body),
        )

    # ------------------------------------------------------------------ in

    async def load(self, *, interval_ms: int, params_hash: int) -> Snapshot:
        """Read the rows; a coin whose row is broken or of another time begins from history."""
        found = await self._store.contexts(self._profile, self._interval)
        if isinstance(found, Unavailable):
            raise SnapshotUnusable(f"the store cannot give the contexts: {found.reason}")
        rows = {row.symbol: row for row in found}
        head = rows.pop(_ALL, None)
        if head is None:
            raise SnapshotUnusable("the store has no contexts")
        if head.schema_hash != STATE_SCHEMA:
            raise SnapshotUnusable("the contexts were made by another version of the record")
        if head.params_hash != params_hash:
            raise SnapshotUnusable("the contexts were made with another profile")
        whole = _open(head, _whole)
        if whole is None:
            raise SnapshotUnusable("the row of the whole market is damaged")
        if whole.interval_ms != interval_ms:
            raise SnapshotUnusable("the contexts were made for another interval")
        return _assemble(head, whole, rows)


def _digest(body: bytes) -> str:
    return hashlib.blake2b(body, digest_size=16).hexdigest()


def _pack_whole(snapshot: Snapshot) -> bytes:
    return msgspec.msgpack.encode(
        _Whole(
            list(snapshot.symbols),
            snapshot.interval_ms,
            snapshot.market_ts.astype(np.int64).tobytes(),
            snapshot.market.astype(np.float64).tobytes(),
            EVENT_SCHEMA,
            snapshot.events.tobytes(),
            snapshot.kept,
        )
    )


def _open(row: ContextRow, decoder: Any) -> Any:
    """Return a row's content; None where it is damaged."""
    if _digest(row.body) != row.checksum:
        return None
    try:
        return decoder.decode(zlib.decompress(row.body))
    except (zlib.error, msgspec.MsgspecError, ValueError):
        return None


def _usable(row: ContextRow | None, head: ContextRow) -> _Coin | None:
    same = row is not None and (row.minute, row.schema_hash, row.params_hash) == (
        head.minute,
        head.schema_hash,
        head.params_hash,
    )
    coin = _open(row, _coin) if row is not None and same else None
    if coin is None or len(coin.context) != CONTEXT.itemsize:
        return None
    return coin if len(coin.bars) == 6 * len(coin.stamps) else None


def _assemble(head: ContextRow, whole: _Whole, rows: dict[str, ContextRow]) -> Snapshot:
    n = len(whole.symbols)
    contexts, since = np.zeros(n, CONTEXT), np.zeros(n, np.int64)
    active, last = [False] * n, [0] * n
    windows: dict[int, tuple[np.ndarray, np.ndarray]] = {}
    broken = []
    for at, symbol in enumerate(whole.symbols):
        coin = _usable(rows.get(symbol), head)
        if coin is None:
            broken.append(symbol)
            continue
        contexts[at] = np.frombuffer(coin.context, CONTEXT, 1)[0]
        since[at], last[at], active[at] = coin.since, coin.last, coin.active
        ts = np.frombuffer(coin.stamps, np.int64).copy()
        windows[at] = (ts, np.frombuffer(coin.bars, np.float64).reshape(6, len(ts)).copy())
    known = whole.event_schema == EVENT_SCHEMA
    said = f"the stored context of {', '.join(broken)} cannot be used: rebuilt from history"
    return Snapshot(
        interval_ms=whole.interval_ms,
        params_hash=head.params_hash,
        minute=head.minute,
        symbols=tuple(whole.symbols),
        active=tuple(active),
        last=tuple(last),
        contexts=contexts,
        since=since,
        windows=windows,
        market_ts=np.frombuffer(whole.market_ts, np.int64).copy(),
        market=np.frombuffer(whole.market, np.float64).reshape(-1, 4).copy(),
        events=np.frombuffer(whole.events if known else b"", EVENT).copy(),
        kept=whole.kept,
        notes=(said,) if broken else (),
    )


class Keepers:
    """Several places: the first usable one is read, all are written."""

    def __init__(self, places: Sequence[ContextKeeper]) -> None:
        self._places = places

    async def load(self, *, interval_ms: int, params_hash: int) -> Snapshot:
        """Read the newest usable one."""
        reasons, found = [], []
        for place in self._places:
            try:
                found.append(await place.load(interval_ms=interval_ms, params_hash=params_hash))
            except SnapshotUnusable as error:
                reasons.append(str(error))
        if not found:
            raise SnapshotUnusable("; ".join(reasons) or "nothing keeps it")
        return max(found, key=lambda s: s.minute)

    async def save(self, snapshot: Snapshot) -> int:
        """Write all; the first failure is told after the others have been written."""
        size, failure = 0, None
        for place in self._places:
            try:
                size += await place.save(snapshot)
            except OSError as error:
                failure = failure or error
        if failure is not None:
            raise failure
        return size

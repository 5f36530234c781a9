"""The lake: where bars and funding rest, how they are found, read and written.

    <lake>/venue=<v>/interval=<i>/symbol=<S>/*.parquet    ts open high low close volume turnover
    <lake>/funding/venue=<v>/symbol=<S>/*.parquet         ts funding_rate

A series is one `data.parquet` (the head: closed history) and, for the hot end, one
`tail-YYYY-MM.parquet` a month. `compact` folds the tails into the head.

Several files of a series are read as one: ascending in ts, and where two files hold the same ts
the one written last wins. Our files carry their order of writing (`zion.seq`); files of other
writers come before ours, in the order of their names. A head holds all that was written before it,
so a crash between writing a head and removing what it replaced changes nothing a reader sees.

Inside one file the later row wins, and rows out of order are put in order; both are counted in
`Lake.skips` and named by `zion data check`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa

from data.blocks import bar_table, bars_of, block_of, merge, table_of
from data.column_cache import ColumnCache, identity
from data.files import (
    BAR_SCHEMA,
    FUNDING_SCHEMA,
    FileFacts,
    check_schema,
    facts,
    parquet_bytes,
    read_columns,
    series_lock,
    write_atomic,
)
from data.folders import Folders
from data.layout import parquet_files
from data.settlements import Settlements, settlements
from engine.bars import Bars
from engine.errors import DataError, UsageError

HEAD_NAME = "data.parquet"
CODECS = ("none", "lz4", "zstd")


@dataclass(frozen=True, slots=True)
class Skips:
    """Rows of a series that a reader does not see as they lie in the files.

    Attributes
    ----------
    duplicates : int
        Rows replaced by a later row of the same ts in the same file.
    disordered : int
        Rows that stood after a later ts in the same file; read in their right place.
    overlaps : int
        Rows replaced by a file written later.
    """

    duplicates: int = 0
    disordered: int = 0
    overlaps: int = 0


@dataclass(frozen=True, slots=True)
class SeriesInfo:
    """One series of the lake, as its footers tell it; `problem` names what cannot be read."""

    venue: str
    interval: str
    symbol: str
    bars: int
    first_ts: int | None
    last_ts: int | None
    files: int
    size_bytes: int
    problem: str = ""


class Lake(Folders):
    """A folder of market history.

    Parameters
    ----------
    path : Path | str
        The lake; nothing is opened or made before it is asked for.
    cache : Path | str | None
        A folder for mapped columns (never inside a read-only lake); None reads the files each time.
    codec : str
        Compression of files written: "none" (fastest to read, the default), "lz4" or "zstd".
    durable : bool
        Writes survive a power cut; False for what can be made again.

    Attributes
    ----------
    skips : dict[(venue, interval, symbol), Skips]
        What the reads so far had to put right, only where there was something.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        cache: Path | str | None = None,
        codec: str = "none",
        durable: bool = True,
    ) -> None:
        super().__init__(path)
        if codec not in CODECS:
            raise UsageError(f"unknown codec {codec!r}", hint=f"one of {', '.join(CODECS)}")
        self.codec = codec
        self.durable = durable
        self.skips: dict[tuple[str, str, str], Skips] = {}
        self._prefix = str(self.path.absolute())
        self._cache = ColumnCache(Path(cache)) if cache is not None else None
        self._mapped: dict[tuple[str, str, str], tuple[object, Bars]] = {}

    # -- what there is ---------------------------------------------------------------------------

    def info(self, venue: str, interval: str, symbol: str) -> SeriesInfo:
        """Return bars, range and size of a series, from footers; problems are told, not raised."""
        paths = self.files(venue, interval, symbol)
        try:
            known = self._live_files(paths, _labels(venue, interval, symbol))
        except DataError as error:
            why = f": {error.why}" if error.why else ""
            size = sum(p.stat().st_size for p in paths if p.exists())
            problem = f"{error.what}{why}"
            return SeriesInfo(venue, interval, symbol, 0, None, None, len(paths), size, problem)
        firsts = [f.first_ts for f in known if f.first_ts is not None]
        lasts = [f.last_ts for f in known if f.last_ts is not None]
        return SeriesInfo(
            venue,
            interval,
            symbol,
            # Rows of overlapping files are counted once each only by reading them.
            sum(f.rows for f in known)
            if len(known) == 1
            else len(self.read(venue, interval, symbol)),
            min(firsts, default=None),
            max(lasts, default=None),
            len(paths),
            sum(f.size_bytes for f in known),
        )

    def live_files(self, venue: str, interval: str, symbol: str) -> list[Path]:
        """Return the files of a series that count, in order of writing."""
        paths = self.files(venue, interval, symbol)
        if len(paths) == 1:
            return paths
        return [f.path for f in self._live_files(paths, _labels(venue, interval, symbol))]

    # -- reading ---------------------------------------------------------------------------------

    def read(
        self,
        venue: str,
        interval: str,
        symbol: str,
        start_ms: int | None = None,
        end_ms: int | None = None,
    ) -> Bars:
        """Read the bars of a series with start_ms <= ts < end_ms.

        Returns
        -------
        Bars
            Strictly ascending ts; values as they are in the files, NaN where null.

        Raises
        ------
        DataError
            Unknown venue, interval or symbol; a file that is broken, mistyped or lacks columns.
        """
        name = (venue, interval, symbol)
        if self._cache is None:
            block, counts = self._load(self.files(*name), _labels(*name))
            bars = bars_of(block)
        else:
            bars, counts = self._read_cached(self._cache, name)
        if any(counts):
            self.skips[name] = Skips(*counts)
        else:
            self.skips.pop(name, None)
        if start_ms is None and end_ms is None:
            return bars
        first = 0 if start_ms is None else int(np.searchsorted(bars.ts, start_ms))
        stop = len(bars) if end_ms is None else int(np.searchsorted(bars.ts, end_ms))
        return bars.slice(first, max(first, stop))

    def funding(self, venue: str, symbol: str) -> pl.DataFrame | None:
        """Return `ts` (UTC ms) and `funding_rate`, ascending; None where no series is known.

        One row a settlement: what the files tell twice is told once (`data.settlements`).
        """
        found = self.settlements(venue, symbol)
        return None if found is None else pl.DataFrame({"ts": found.ts, "funding_rate": found.rate})

    def settlements(self, venue: str, symbol: str) -> Settlements | None:
        """Return the funding of a series, with what had to be joined; None where unknown."""
        paths = parquet_files(self.funding_folder(venue, symbol))
        if not paths:
            return None
        labels = {"venue": venue, "symbol": symbol}
        block, _ = merge([read_columns(path, FUNDING_SCHEMA, labels) for path in paths])
        return settlements(block[0].view(np.int64), block[1])

    def _read_cached(
        self, cache: ColumnCache, name: tuple[str, str, str]
    ) -> tuple[Bars, tuple[int, ...]]:
        series = f"{self._prefix}/venue={name[0]}/interval={name[1]}/symbol={name[2]}"
        key = identity(series)
        held = self._mapped.get(name)
        if held is not None and held[0] == key:
            skips = self.skips.get(name, Skips())
            return held[1], (skips.duplicates, skips.disordered, skips.overlaps)
        found = cache.load(series, key)
        if found is None:
            found = self._load(self.files(*name), _labels(*name))
            cache.store(series, key, *found)
        bars = bars_of(found[0])
        self._mapped[name] = (key, bars)
        return bars, found[1]

    def _load(
        self, paths: list[Path], labels: Mapping[str, str]
    ) -> tuple[np.ndarray, tuple[int, ...]]:
        if len(paths) > 1:
            paths = [f.path for f in self._live_files(paths, labels)]
        return merge([read_columns(path, BAR_SCHEMA, labels) for path in paths])

    def _live_files(self, paths: Sequence[Path], labels: Mapping[str, str]) -> list[FileFacts]:
        """Return the files that count, in order of writing."""
        known = sorted(
            (facts(p, BAR_SCHEMA, labels) for p in paths), key=lambda f: (f.seq, f.path.name)
        )
        newest_head = max((f.seq for f in known if f.head), default=-1)
        return [f for f in known if f.seq >= newest_head]

    # -- writing ---------------------------------------------------------------------------------

    def write_bars(self, venue: str, interval: str, symbol: str, bars: pl.DataFrame | Bars) -> int:
        """Replace a whole series by these bars, atomically; return their number.

        Raises
        ------
        DataError
            Columns missing or mistyped, ts not strictly ascending, or the disk refuses; the old
            series is then untouched.
        """
        table = bar_table(bars)
        folder = self.checked_folder(venue, interval, symbol)
        with series_lock(folder):
            self._write_head(folder, _labels(venue, interval, symbol), table)
        return len(table)

    def append(self, venue: str, interval: str, symbol: str, bars: pl.DataFrame | Bars) -> int:
        """Add bars to the monthly tails, atomically by month; a ts already there is replaced.

        Returns
        -------
        int
            The number of bars given. Months are written in order: a crash cuts off the end.
        """
        table = bar_table(bars)
        folder = self.checked_folder(venue, interval, symbol)
        labels = _labels(venue, interval, symbol)
        months = np.asarray(table["ts"]).astype("datetime64[ms]").astype("datetime64[M]")
        with series_lock(folder):
            seq = self._next_seq(folder, labels)
            for month in np.unique(months):
                fresh = block_of(table.filter(pa.array(months == month)))
                path = folder / f"tail-{month}.parquet"
                if path.exists() and facts(path, BAR_SCHEMA, labels).seq >= self._head_seq(
                    folder, labels
                ):
                    fresh, _ = merge([read_columns(path, BAR_SCHEMA, labels), fresh])
                meta = {**labels, "schema": "1", "seq": str(seq)}
                write_atomic(
                    path, parquet_bytes(table_of(fresh), meta, self.codec), durable=self.durable
                )
        return len(table)

    def compact(self, venue: str, interval: str, symbol: str) -> int:
        """Fold all files of a series into one head; return how many (0: nothing to do)."""
        paths = self.files(venue, interval, symbol)
        labels = _labels(venue, interval, symbol)
        folder = self.checked_folder(venue, interval, symbol)
        with series_lock(folder):
            paths = parquet_files(folder)
            if len(paths) == 1 and facts(paths[0], BAR_SCHEMA, labels).head:
                return 0
            block, _ = self._load(paths, labels)
            self._write_head(folder, labels, table_of(block))
        return len(paths)

    def write_funding(self, venue: str, symbol: str, frame: pl.DataFrame) -> int:
        """Merge funding rates (`ts`, `funding_rate`) into a series; return the rows then held."""
        folder = self.funding_folder(venue, symbol)
        labels = {"venue": venue, "symbol": symbol}
        found = frame.select("ts", "funding_rate").to_arrow()
        check_schema(folder, found.schema, FUNDING_SCHEMA)
        fresh = np.empty((2, len(found)))
        fresh[0].view(np.int64)[:] = frame["ts"].to_numpy()
        fresh[1] = frame["funding_rate"].to_numpy()
        with series_lock(folder):
            old = [read_columns(p, FUNDING_SCHEMA, labels) for p in parquet_files(folder)]
            block, _ = merge([*old, fresh])
            columns = [pa.array(block[0].view(np.int64)), pa.array(block[1])]
            table = pa.Table.from_arrays(columns, schema=FUNDING_SCHEMA)
            meta = {**labels, "schema": "1"}
            write_atomic(
                folder / HEAD_NAME, parquet_bytes(table, meta, self.codec), durable=self.durable
            )
            for path in parquet_files(folder):
                if path.name != HEAD_NAME:
                    path.unlink()
        return len(table)

    def _write_head(self, folder: Path, labels: Mapping[str, str], table: pa.Table) -> None:
        seq = self._next_seq(folder, labels, tolerant=True)
        meta = {**labels, "schema": "1", "seq": str(seq), "head": "1"}
        write_atomic(
            folder / HEAD_NAME, parquet_bytes(table, meta, self.codec), durable=self.durable
        )
        for path in parquet_files(folder):
            if path.name != HEAD_NAME:
                path.unlink()

    def _next_seq(self, folder: Path, labels: Mapping[str, str], *, tolerant: bool = False) -> int:
        highest = 0
        for path in parquet_files(folder):
            try:
                highest = max(highest, facts(path, BAR_SCHEMA, labels).seq)
            except DataError:
                # Replacing a series must work above all when its old files are broken.
                if not tolerant:
                    raise
        return highest + 1

    def _head_seq(self, folder: Path, labels: Mapping[str, str]) -> int:
        known = [facts(p, BAR_SCHEMA, labels) for p in parquet_files(folder)]
        return max((f.seq for f in known if f.head), default=-1)


def _labels(venue: str, interval: str, symbol: str) -> dict[str, str]:
    return {"venue": venue, "interval": interval, "symbol": symbol}

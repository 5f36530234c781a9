"""Where the series of a lake lie, which there are, and what to say of one that is not there."""

from pathlib import Path

from data.layout import check_name, holds_parquet, keys, parquet_files, unknown
from engine.bars import INTERVAL_MS, interval_ms
from engine.errors import DataError, UsageError

_MORE_DATA = "zion data import or download fills it; delete the folder if it is a leftover"


class Folders:
    """The names in a lake; files are looked for, never opened.

    Parameters
    ----------
    path : Path | str
        The lake; it need not exist before it is asked.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)

    def venues(self) -> list[str]:
        """Return the venues that have bars, by name; `DataError` when there is no lake at all."""
        return keys(self._root(), "venue")

    def intervals(self, venue: str) -> list[str]:
        """Return the intervals of a venue, shortest first; `DataError` names near matches."""
        found = keys(self._venue(venue), "interval")
        return sorted(found, key=lambda i: (INTERVAL_MS.get(i, 0), i))

    def symbols(self, venue: str, interval: str) -> list[str]:
        """Return the symbols of a venue and interval, by name; `DataError` names what there is."""
        # A write that failed (a full disk) may leave a folder without files: no series yet.
        folder = self._interval(venue, interval)
        return [s for s in keys(folder, "symbol") if holds_parquet(folder / f"symbol={s}")]

    def resolve_venue(self, venue: str | None) -> str:
        """Return the venue meant: the one named, or the only one.

        Raises
        ------
        UsageError
            None named and the lake has several.
        DataError
            No lake, an empty lake, or no such venue.
        """
        if venue is not None:
            self._venue(venue)
            return venue
        found = self.venues()
        if not found:
            raise self._empty()
        if len(found) > 1:
            raise UsageError(
                f"the lake {self.path} has several venues: {', '.join(found)}",
                hint=f"name one, as in --venue {found[0]}",
            )
        return found[0]

    def series(
        self, venue: str | None = None, interval: str | None = None
    ) -> list[tuple[str, str, str]]:
        """Return (venue, interval, symbol) of every series, or of those asked for."""
        found = [
            (v, i, s)
            for v in ([venue] if venue else self.venues())
            for i in self.intervals(v)
            if interval in (None, i)
            for s in self.symbols(v, i)
        ]
        if not found:
            if venue is None and not any(self.intervals(v) for v in self.venues()):
                raise self._empty()
            every = sorted(
                {i for v in ([venue] if venue else self.venues()) for i in self.intervals(v)}
            )
            if interval is not None and interval not in every:
                raise unknown("interval", interval, every, f"in {self.path}")
            raise DataError(f"the lake {self.path} holds no series there", hint=_MORE_DATA)
        return found

    def files(self, venue: str, interval: str, symbol: str) -> list[Path]:
        """Return the Parquet files of a series by name; `DataError` names near matches."""
        paths = parquet_files(self.folder(venue, interval, symbol))
        if not paths:
            raise self._no_symbol(venue, interval, symbol)
        return paths

    def folder(self, venue: str, interval: str, symbol: str) -> Path:
        """Return where a series lies, whether it exists or not."""
        return self.path / f"venue={venue}" / f"interval={interval}" / f"symbol={symbol}"

    def _root(self) -> Path:
        if not self.path.is_dir():
            raise DataError(
                f"no lake at {self.path}",
                why="there is no such folder",
                hint=f"zion data synth --lake {self.path} makes one, or name another with --lake",
            )
        return self.path

    def _empty(self) -> DataError:
        return DataError(
            f"the lake {self.path} is empty",
            hint=f"zion data synth --lake {self.path}, or zion data import PATH --lake {self.path}",
        )

    def _venue(self, venue: str) -> Path:
        path = self._root() / f"venue={venue}"
        if not path.is_dir():
            found = self.venues()
            raise unknown("venue", venue, found, f"in {self.path}") if found else self._empty()
        return path

    def _interval(self, venue: str, interval: str) -> Path:
        path = self._venue(venue) / f"interval={interval}"
        if not path.is_dir():
            raise unknown("interval", interval, self.intervals(venue), f"for {venue}")
        return path

    def _no_symbol(self, venue: str, interval: str, symbol: str) -> DataError:
        folder = self.folder(venue, interval, symbol)
        if folder.is_dir():
            return DataError(f"{folder} holds no Parquet file", hint=_MORE_DATA)
        return unknown("symbol", symbol, self.symbols(venue, interval), f"at {venue} {interval}")

    def checked_folder(self, venue: str, interval: str, symbol: str) -> Path:
        """Return where a series is to be written; refuse names that could be no folder."""
        interval_ms(interval)
        for kind, name in (("venue", venue), ("symbol", symbol)):
            check_name(kind, name)
        return self.folder(venue, interval, symbol)

    def funding_folder(self, venue: str, symbol: str) -> Path:
        """Return where a coin's funding lies, whether it exists or not."""
        check_name("venue", venue)
        check_name("symbol", symbol)
        return self.path / "funding" / f"venue={venue}" / f"symbol={symbol}"

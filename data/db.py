"""Questions across symbols: the one place that touches DuckDB.

A `Questions` holds an in-memory DuckDB with read-only views over the lake (`bars`, `funding`) and,
when a folder of runs is given, over their results (`events`, `trades`, `fills`). It sees no other
file: names of files are quoted here, values of callers go in as parameters.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa

from data.catalog import Lake
from data.files import BAR_SCHEMA, FUNDING_SCHEMA, facts
from engine.errors import DataError, UsageError

_DAY_MS = 86_400_000
_RUN_VIEWS = ("events", "trades", "fills")
_TYPES = {"int64": "BIGINT", "double": "DOUBLE"}


class Questions:
    """A read-only DuckDB over a lake and, if given, over the runs of a folder.

    Views: `bars(venue, interval, symbol, ts, open, high, low, close, volume, turnover)`,
    `funding(venue, symbol, ts, funding_rate)` as it lies, what is told twice too; with `runs`:
    `events`, `trades`, `fills`, each with the column `run` (the folder's name).
    """

    def __init__(self, lake: Lake, runs: Path | None = None) -> None:
        self._connection = duckdb.connect(":memory:")
        try:
            self._views(lake, runs)
        except DataError:
            self._connection.close()
            raise
        except duckdb.Error as error:
            self._connection.close()
            raise _unreadable(error) from error
        folders = [lake.path, *([runs] if runs else [])]
        allowed = ", ".join(_quoted(str(f.absolute()) + "/") for f in folders)
        for setting in (
            "SET autoinstall_known_extensions = false",
            f"SET allowed_directories = [{allowed}]",
            "SET enable_external_access = false",
            "SET lock_configuration = true",
        ):
            self._connection.execute(setting)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the database."""
        self._connection.close()

    def query_pl(
        self, sql: str, params: Sequence[object] | Mapping[str, object] = ()
    ) -> pl.DataFrame:
        """Answer one SELECT as a polars frame; values go in through `params` (`?` or `$name`).

        Raises
        ------
        UsageError
            Not one SELECT, or SQL that DuckDB refuses.
        DataError
            A file behind a view cannot be read.
        """
        try:
            kinds = [s.type for s in self._connection.extract_statements(sql)]
            if len(kinds) != 1 or kinds[0] not in (
                duckdb.StatementType.SELECT,
                duckdb.StatementType.EXPLAIN,
            ):
                raise UsageError(
                    "only one SELECT at a time", hint="SELECT symbol, count(*) FROM bars GROUP BY 1"
                )
            return self._connection.sql(sql, params=params or None).pl()
        except (duckdb.IOException, duckdb.InvalidInputException) as error:
            raise _unreadable(error) from error
        except duckdb.Error as error:
            raise UsageError(
                "the question cannot be answered",
                why=_first_line(error),
                hint="views: bars, funding, events, trades, fills; DESCRIBE SELECT * FROM bars",
            ) from error

    def _views(self, lake: Lake, runs: Path | None) -> None:
        single: list[str] = []
        several: list[list[str]] = []
        # Not `lake.series()`: an empty lake has empty views, and the views of runs besides.
        every = [
            (v, i, s) for v in lake.venues() for i in lake.intervals(v) for s in lake.symbols(v, i)
        ]
        for venue, interval, symbol in every:
            paths = [str(p.absolute()) for p in lake.live_files(venue, interval, symbol)]
            if len(paths) == 1:
                # DuckDB would show a missing column as NULL and a mistyped one as text.
                facts(Path(paths[0]), BAR_SCHEMA, {})
                single += paths
            else:
                several.append(paths)
        self._bars_view(single, several)
        pattern = lake.path.absolute() / "funding" / "venue=*" / "symbol=*" / "*.parquet"
        known = sorted(lake.path.glob("funding/venue=*/symbol=*/*.parquet"))
        columns = "venue, symbol, ts, funding_rate"
        source = (
            f"SELECT {columns} FROM {_parquet(_quoted(str(pattern)))}"  # noqa: S608
            if known
            else _nothing(("venue", "symbol"), FUNDING_SCHEMA)
        )
        self._connection.execute(f"CREATE VIEW funding AS {source}")
        for name in _RUN_VIEWS:
            found = (
                sorted(str(p.absolute()) for p in runs.glob(f"*/{name}.parquet")) if runs else []
            )
            if found:
                source = f"read_parquet({_listed(found)}, union_by_name=true, filename=true)"
                select = "SELECT parse_path(filename)[-2] AS run, * EXCLUDE filename"
                self._connection.execute(f"CREATE VIEW {name} AS {select} FROM {source}")

    def _bars_view(self, single: list[str], several: list[list[str]]) -> None:
        columns = f"venue, interval, symbol, {', '.join(BAR_SCHEMA.names)}"
        parts = []
        if single:
            parts.append(f"SELECT {columns} FROM {_parquet(_listed(single))}")  # noqa: S608
        for paths in several:
            # As in Lake.read: of two files that hold the same ts, the one written last counts.
            listed = _listed(paths)
            source = _parquet(listed, "filename=true")
            newest = f"PARTITION BY ts ORDER BY list_position({listed}, filename) DESC"
            parts.append(
                f"SELECT {columns} FROM {source} QUALIFY row_number() OVER ({newest}) = 1"  # noqa: S608
            )
        source = " UNION ALL ".join(parts) or _nothing(("venue", "interval", "symbol"), BAR_SCHEMA)
        self._connection.execute(f"CREATE VIEW bars AS {source}")


def query_pl(
    sql: str,
    params: Sequence[object] | Mapping[str, object] = (),
    *,
    lake: Lake,
    runs: Path | None = None,
) -> pl.DataFrame:
    """Answer one question; see `Questions.query_pl`."""
    with Questions(lake, runs) as questions:
        return questions.query_pl(sql, params)


def select_symbols(lake: Lake, venue: str, interval: str, spec: str = "all") -> list[str]:
    """Choose symbols: `all`, `A,B` in that order, or `top:N` by median daily turnover.

    Where a bar's turnover is unknown, close * volume stands for it. A series that cannot be
    read has no rank.

    Raises
    ------
    DataError
        A symbol that the lake does not have.
    UsageError
        A spec that is none of the three.
    """
    known = lake.symbols(venue, interval)
    text = spec.strip()
    if text == "all":
        return known
    if text.startswith("top:"):
        number = text.removeprefix("top:")
        if not number.isdigit() or int(number) < 1:
            raise UsageError(f"{spec!r}: top:N needs a whole number of at least 1", hint="top:20")
        return _top(lake, venue, interval, known, int(number))
    chosen = list(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    if not chosen:
        raise UsageError(f"{spec!r} names no symbol", hint="all, top:20, or BTCUSDT,ETHUSDT")
    for symbol in chosen:
        lake.files(venue, interval, symbol)  # an unknown one is told with its near matches
    return chosen


def _top(lake: Lake, venue: str, interval: str, known: list[str], count: int) -> list[str]:
    typical: dict[str, float] = {}
    for symbol in known:
        try:
            bars = lake.read(venue, interval, symbol)
        except DataError:
            continue
        quote = np.where(np.isnan(bars.turnover), bars.close * bars.volume, bars.turnover)
        first_of_day = np.flatnonzero(np.diff(bars.ts // _DAY_MS, prepend=-1))
        typical[symbol] = (
            float(np.median(np.add.reduceat(quote, first_of_day))) if len(bars) else 0.0
        )
    # where not one can be read, the reader of them says why
    return sorted(typical, key=lambda s: (-typical[s], s))[:count] or known


def _parquet(source: str, more: str = "") -> str:
    options = "hive_partitioning=true, hive_types_autocast=false, union_by_name=true"
    return f"read_parquet({source}, {options}{', ' if more else ''}{more})"


def _nothing(keys: Sequence[str], schema: pa.Schema) -> str:
    typed = [f"NULL::VARCHAR AS {key}" for key in keys]
    typed += [f"NULL::{_TYPES[str(f.type)]} AS {f.name}" for f in schema]
    return f"SELECT {', '.join(typed)} WHERE false"


def _listed(paths: Sequence[str]) -> str:
    return f"[{', '.join(_quoted(p) for p in paths)}]"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _unreadable(error: Exception) -> DataError:
    return DataError(
        "a file behind the question cannot be read",
        why=_first_line(error),
        hint="zion data check names every such file",
    )


def _first_line(error: Exception) -> str:
    return str(error).split("\n", maxsplit=1)[0]

"""Foreign history into the lake: CSV and Parquet of the shapes people have, every row checked.

Understood: files with a header that names its columns (Bybit, Binance, this lake and most others),
Binance klines without a header (12 columns), Bybit klines without a header (7: start, open, high,
low, close, volume, turnover; or the first 6), `.csv`, `.csv.gz`, `.zip`, `.parquet`, and whole
folders, among them another lake. Times may be seconds, ms, us, ns or text.

A row that cannot be real is rejected and counted by reason; nothing is mended.
"""

import re
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl

from data.catalog import Lake
from data.files import TS_MAX_MS, TS_MIN_MS
from data.quality import possible_bars
from engine.bars import COLUMNS, INTERVAL_MS, interval_ms
from engine.errors import DataError

_NAMES: Mapping[str, tuple[str, ...]] = {
    "ts": (
        *("ts", "timestamp", "open_time", "opentime", "open_timestamp", "start", "start_time"),
        *("starttime", "start_at", "startat", "time", "date", "datetime", "unix"),
    ),
    "open": ("open", "o", "open_price", "openprice"),
    "high": ("high", "h", "high_price", "highprice"),
    "low": ("low", "l", "low_price", "lowprice"),
    "close": ("close", "c", "close_price", "closeprice"),
    "volume": ("volume", "v", "vol", "base_volume", "basevolume"),
    "turnover": (
        "turnover",
        "quote_volume",
        "quote_asset_volume",
        "quotevolume",
        "quoteassetvolume",
        "amount",
    ),
}
_BARE: Mapping[int, tuple[str, ...]] = {
    6: COLUMNS[:6],
    7: COLUMNS,
    # Binance's klines
    12: (*COLUMNS[:6], "close_time", "turnover", "trades", "taker_base", "taker_quote", "unused"),
}
_MINUTES: Mapping[str, str] = {str(ms // 60_000): name for name, ms in INTERVAL_MS.items()}
_FILE_NAME = re.compile(
    r"^([0-9A-Z]{2,30}?)[-_.]((?:\d+[mhd])|1|3|5|15|30|60|120|240|360|720|D)(?:[-_.]|$)"
)
_HIVE = re.compile(r"(venue|interval|symbol)=([^/]+)")


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of one file.

    Attributes
    ----------
    rows, accepted : int
        Rows read, bars kept.
    rejected : dict[reason, count]
        `number` (missing or no number), `time`, `off_grid` (no multiple of the interval),
        `impossible` (prices <= 0, high or low that does not contain open and close, negative
        volume), `duplicate` (the later row counts).
    disordered : int
        Rows that stood after a later one; put in order, not rejected.
    """

    path: str
    venue: str
    interval: str
    symbol: str
    rows: int
    accepted: int
    rejected: Mapping[str, int]
    disordered: int
    problem: str = ""


def import_path(
    lake: Lake,
    path: Path,
    *,
    venue: str,
    interval: str | None = None,
    symbol: str | None = None,
) -> Iterator[Imported]:
    """Bring a file, or every file of a folder, into the lake, and tell what became of each.

    New bars join the series that is there; where both hold a ts, the new bar counts. In a folder a
    file that cannot be understood is told (`problem`) and skipped; alone it is a `DataError`.
    """
    if not path.exists():
        raise DataError(f"no file or folder at {path}")
    if path.is_file():
        yield import_file(lake, path, venue=venue, interval=interval, symbol=symbol)
        return
    endings = (".csv", ".csv.gz", ".zip", ".parquet")
    found = sorted(p for p in path.rglob("*") if p.name.endswith(endings) and p.is_file())
    found = [p for p in found if not p.name.startswith(".") and "funding" not in p.parts]
    if not found:
        raise DataError(f"nothing to import in {path}", hint=f"looked for {', '.join(endings)}")
    for each in found:
        try:
            yield import_file(lake, each, venue=venue, interval=interval, symbol=symbol)
        except DataError as error:
            why = f"{error.what}{': ' if error.why else ''}{error.why}"
            yield Imported(str(each), venue, interval or "", symbol or "", 0, 0, {}, 0, why)


def import_file(
    lake: Lake,
    path: Path,
    *,
    venue: str,
    interval: str | None = None,
    symbol: str | None = None,
) -> Imported:
    """Bring one file into the lake; symbol and interval come from the arguments, folder or name.

    Raises
    ------
    DataError
        Not a shape we know, no symbol to be found, no row that can be real.
    """
    labels = dict(_HIVE.findall(str(path)))
    named = _FILE_NAME.match(path.name)
    symbol = symbol or labels.get("symbol") or (named.group(1) if named else None)
    if symbol is None:
        raise DataError(
            f"cannot tell the symbol of {path}", hint="name it: --symbol BTCUSDT --interval 15m"
        )
    from_name = _interval_of(named.group(2)) if named else None
    frame = _times(_columns(_read(path), path))
    interval = interval or labels.get("interval") or from_name or _guess_interval(frame, path)
    bars, told = _accept(frame, interval)
    venue = labels.get("venue", venue) if "interval" in labels else venue
    result = replace(told, path=str(path), venue=venue, interval=interval, symbol=symbol)
    if not len(bars):
        reasons = ", ".join(f"{n} {why}" for why, n in result.rejected.items())
        raise DataError(f"{path} has no bar that can be real", why=reasons or "it is empty")
    _join(lake, venue, interval, symbol, bars)
    return result


def _join(lake: Lake, venue: str, interval: str, symbol: str, bars: pl.DataFrame) -> None:
    if list(lake.folder(venue, interval, symbol).glob("*.parquet")):
        old = lake.read(venue, interval, symbol).frame()
        bars = pl.concat([old, bars]).unique("ts", keep="last", maintain_order=True).sort("ts")
    lake.write_bars(venue, interval, symbol, bars)


def _read(path: Path) -> pl.DataFrame:
    try:
        if path.suffix == ".parquet":
            return pl.read_parquet(path, hive_partitioning=False, glob=False)
        content = path.read_bytes()
        if path.suffix == ".zip":
            with zipfile.ZipFile(path) as archive:
                content = archive.read(archive.namelist()[0])
        # Text first: one bad cell must cost a row, not the file.
        return pl.read_csv(
            content, has_header=False, infer_schema=False, truncate_ragged_lines=True
        )
    except (pl.exceptions.PolarsError, OSError, zipfile.BadZipFile, IndexError) as error:
        reason = str(error).split("\n", maxsplit=1)[0]
        raise DataError(f"cannot read {path}", why=reason) from error


def _columns(frame: pl.DataFrame, path: Path) -> pl.DataFrame:
    """Name the columns by the header or, without one, by their number."""
    if path.suffix != ".parquet" and len(frame):
        first = [str(cell or "").strip().lower() for cell in frame.row(0)]
        if any(cell in _NAMES["open"] for cell in first):
            names = [name or f"_{i}" for i, name in enumerate(first)]
            if len(set(names)) < len(names):
                raise DataError(f"{path} names a column twice", why=", ".join(names))
            frame = frame.slice(1).rename(dict(zip(frame.columns, names, strict=True)))
        elif frame.width in _BARE:
            frame = frame.rename(dict(zip(frame.columns, _BARE[frame.width], strict=True)))
    known = {name.lower(): name for name in frame.columns}
    chosen = {
        ours: known[name]
        for ours, names in _NAMES.items()
        for name in [next((n for n in names if n in known), None)]
        if name
    }
    missing = [c for c in COLUMNS[:-1] if c not in chosen]
    if missing:
        raise DataError(
            f"{path} is no kline file that we know: no column for {', '.join(missing)}",
            why=f"it has {', '.join(frame.columns[:12]) or 'no columns'}",
            hint="a header with ts, open, high, low, close, volume and perhaps turnover does it",
        )
    turnover = pl.col(chosen["turnover"]) if "turnover" in chosen else pl.lit(None)
    numbers = [pl.col(chosen[c]).cast(pl.Float64, strict=False).alias(c) for c in COLUMNS[1:-1]]
    return frame.select(
        pl.col(chosen["ts"]).alias("ts"),
        *numbers,
        turnover.cast(pl.Float64, strict=False).alias("turnover"),
    )


def _times(frame: pl.DataFrame) -> pl.DataFrame:
    """Turn whatever `ts` is into UTC ms; what cannot be read becomes null."""
    ts = frame["ts"]
    if ts.dtype.is_temporal():
        return frame.with_columns(ts.cast(pl.Datetime("ms")).cast(pl.Int64).alias("ts"))
    number = ts.cast(pl.Float64, strict=False)
    if ts.dtype == pl.String and number.null_count() == len(ts):
        text = ts.str.strip_chars().str.replace_all(r"[./]", "-").str.replace("T", " ")
        text = text.str.strip_chars_end("Z").str.slice(0, 19)
        parsed = text.str.to_datetime("%Y-%m-%d %H:%M:%S", strict=False)
        parsed = parsed.fill_null(text.str.to_datetime("%Y-%m-%d %H:%M", strict=False))
        return frame.with_columns(parsed.cast(pl.Datetime("ms")).cast(pl.Int64).alias("ts"))
    middle = number.drop_nulls().median()
    size = float(middle) if isinstance(middle, int | float) else 0.0
    unit = next((u for u in (1000.0, 1.0, 1e-3, 1e-6) if TS_MIN_MS <= size * u <= TS_MAX_MS), 1.0)
    return frame.with_columns((number * unit).round().cast(pl.Int64, strict=False).alias("ts"))


def _accept(frame: pl.DataFrame, interval: str) -> tuple[pl.DataFrame, Imported]:
    """Keep the bars that can be real; count the others by the first reason that applies."""
    step = interval_ms(interval)
    in_time = pl.col("ts").is_between(TS_MIN_MS, TS_MAX_MS).fill_null(value=False)
    whole = pl.all_horizontal(pl.col(COLUMNS[1:-1]).is_finite()).fill_null(value=False)
    reason = (
        pl.when(~in_time)
        .then(pl.lit("time"))
        .when(~whole)
        .then(pl.lit("number"))
        .when(pl.col("ts") % step != 0)
        .then(pl.lit("off_grid"))
        .when(~possible_bars())
        .then(pl.lit("impossible"))
    )
    judged = frame.with_columns(reason.alias("reason"))
    counted = judged.drop_nulls("reason")["reason"].value_counts(sort=True)
    rejected = dict(zip(counted["reason"].to_list(), counted["count"].to_list(), strict=True))
    kept = judged.filter(pl.col("reason").is_null()).drop("reason")
    stamps = kept["ts"].to_numpy()
    late = int((stamps < np.maximum.accumulate(stamps)).sum()) if len(stamps) else 0
    bars = kept.unique("ts", keep="last", maintain_order=True).sort("ts")
    if len(bars) < len(kept):
        rejected["duplicate"] = len(kept) - len(bars)
    return bars, Imported("", "", interval, "", len(frame), len(bars), rejected, late)


def _interval_of(text: str) -> str | None:
    if text in INTERVAL_MS:
        return text
    return "1d" if text == "D" else _MINUTES.get(text)


def _guess_interval(frame: pl.DataFrame, path: Path) -> str:
    stamps = np.unique(frame["ts"].drop_nulls().to_numpy())
    if len(stamps) > 1:
        step = int(np.median(np.diff(stamps)))
        for name, length in INTERVAL_MS.items():
            if length == step:
                return name
    raise DataError(f"cannot tell the interval of {path}", hint="name it: --interval 15m")

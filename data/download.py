"""Bybit's history into the lake: pages, resumable, within the rate budget.

The lake itself is the progress: only ranges that it lacks are asked for, and every batch of pages
is on disk before the next one is asked. A run cut off anywhere goes on where it stopped.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

import numpy as np
import polars as pl

from data.bybit_public import PublicClient, Trouble
from data.catalog import Lake
from data.quality import possible_bars
from engine.bars import COLUMNS, INTERVAL_MS, interval_ms
from engine.errors import DataError, UsageError

PAGE_BARS = 1000
_FUNDING_PAGE = 200
_BATCH_PAGES = 10

# Our interval -> Bybit's: minutes, or D.
BYBIT_INTERVALS: Mapping[str, str] = {
    name: "D" if name == "1d" else str(ms // 60_000) for name, ms in INTERVAL_MS.items()
}


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to bear with Bybit: tries of one request, pauses doubling up to a limit."""

    attempts: int = 6
    first_pause_s: float = 0.5
    longest_pause_s: float = 30.0


@dataclass(slots=True)
class Progress:
    """What a download of one symbol did.

    Attributes
    ----------
    rejected : int
        Rows that could not be read or cannot be real; left out and counted.
    missing : int
        Bars of the range that Bybit does not have.
    trouble : str
        Why it ended early, else "".
    """

    symbol: str
    bars: int = 0
    funding: int = 0
    requests: int = 0
    retries: int = 0
    rejected: int = 0
    missing: int = 0
    trouble: str = ""
    ranges: list[tuple[int, int]] = field(default_factory=list)


class UnavailableError(DataError):
    """Bybit cannot be used now: unreachable, banned, or in trouble for too long."""


def check_spec(spec: str) -> None:
    """Refuse what is neither `all`, `top:N` nor names, before anything is asked of the venue."""
    number = spec.removeprefix("top:")
    if number != spec and (not number.isdecimal() or int(number) < 1):
        raise UsageError(f"{spec!r}: top:N needs a whole number, 1 or more", hint="top:50")
    if not any(part.strip() for part in spec.split(",")):
        raise UsageError(f"{spec!r} names no symbol", hint="all, top:50 or BTCUSDT,ETHUSDT")


class Downloader:
    """Fetches history of linear perpetuals.

    Parameters
    ----------
    lake : Lake
    client : PublicClient
    sleep : callable
        Waits so many seconds (also the bucket's); tests pass one that only counts.
    venue : str
        Where it lands in the lake.
    """

    def __init__(
        self,
        lake: Lake,
        client: PublicClient,
        *,
        sleep: Callable[[float], None],
        venue: str = "bybit",
        patience: Patience | None = None,
    ) -> None:
        self._lake, self._client, self._sleep = lake, client, sleep
        self._venue = venue
        self._patience = patience or Patience()
        self._retries = 0

    def universe(self) -> pl.DataFrame:
        """Return trading USDT perpetuals, largest turnover_24h first: symbol, ..., launch_ms."""
        rows: list[dict[str, Any]] = []
        cursor = ""
        seen: set[str] = set()
        while True:
            page = self._patiently(lambda at=cursor: self._client.instruments(at))
            rows += [r for r in page["list"] if _is_usdt_perpetual(r)]
            cursor = str(page.get("nextPageCursor") or "")
            if not cursor or cursor in seen:
                break
            seen.add(cursor)
        tickers = self._patiently(self._client.tickers)["list"]
        turnover = {str(t.get("symbol")): _number(t.get("turnover24h")) for t in tickers}
        frame = pl.DataFrame(
            {
                "symbol": [str(r["symbol"]) for r in rows],
                "turnover_24h": [turnover.get(str(r["symbol"]), float("nan")) for r in rows],
                "launch_ms": [int(_number(r.get("launchTime"), 0.0)) for r in rows],
            },
            schema={"symbol": pl.String, "turnover_24h": pl.Float64, "launch_ms": pl.Int64},
        )
        ranked = frame.unique("symbol").with_columns(pl.col("turnover_24h").fill_nan(-1.0))
        return ranked.sort(["turnover_24h", "symbol"], descending=[True, False])

    def choose(self, spec: str) -> dict[str, int]:
        """Return {symbol: launch_ms} of `all`, `A,B` or `top:N` (by turnover of the last 24 h).

        Raises
        ------
        DataError
            A symbol that is no trading USDT perpetual, with its near matches; a spec of no kind.
        """
        check_spec(spec)
        ranked = self.universe()
        launches = dict(zip(ranked["symbol"].to_list(), ranked["launch_ms"].to_list(), strict=True))
        if spec == "all":
            return launches
        if spec.startswith("top:"):
            return dict(list(launches.items())[: int(spec.removeprefix("top:"))])
        chosen = [s.strip() for s in spec.split(",") if s.strip()]
        for symbol in chosen:
            if symbol not in launches:
                near = get_close_matches(symbol, launches, n=3, cutoff=0.5)
                hint = f"did you mean {' or '.join(near)}?" if near else "all, top:50 or BTCUSDT"
                raise DataError(f"Bybit has no trading USDT perpetual {symbol!r}", hint=hint)
        return {symbol: launches[symbol] for symbol in chosen}

    def now_ms(self) -> int:
        """Return the exchange's time: which candle is closed is its business."""
        reply = self._patiently(self._client.tickers)
        return int(reply["time_ms"])

    def fetch(
        self,
        symbol: str,
        interval: str,
        start_ms: int,
        end_ms: int,
        *,
        tell: Callable[[int], None] = lambda _bars: None,
    ) -> Progress:
        """Bring [start_ms, end_ms) of one symbol into the lake: only what is missing.

        Returns
        -------
        Progress
            With `trouble` set when Bybit refused this symbol; what came before is in the lake.

        Raises
        ------
        UnavailableError
            Bybit is out of reach, or bans this IP: the next symbol would fare no better.
        """
        step = interval_ms(interval)
        done = Progress(symbol)
        before, retried = self._client.requests, self._retries
        try:
            for first, last in missing_ranges(
                self._lake, (self._venue, interval, symbol), start_ms, end_ms
            ):
                done.ranges.append((first, last))
                self._fetch_range(done, interval, first, last, tell)
        except _RefusedError as refused:
            done.trouble = str(refused)
        finally:
            done.requests = self._client.requests - before
            done.retries = self._retries - retried
        done.missing = sum((b - a) // step for a, b in done.ranges) - done.bars
        return done

    def fetch_funding(self, symbol: str, start_ms: int, end_ms: int, done: Progress) -> None:
        """Bring funding rates of [start_ms, end_ms) into the lake."""
        held = self._lake.funding(self._venue, symbol)
        if held is not None and len(held):
            newest, oldest = int(held["ts"][-1]), int(held["ts"][0])
            # The series is one stretch: ask before it and after it.
            stretches = [(start_ms, min(oldest, end_ms)), (max(newest + 1, start_ms), end_ms)]
        else:
            stretches = [(start_ms, end_ms)]
        before = self._client.requests
        try:
            for first, last in stretches:
                done.funding += self._fetch_funding(symbol, first, last)
        except _RefusedError as refused:
            done.trouble = str(refused)
        finally:
            done.requests += self._client.requests - before

    def _fetch_range(
        self, done: Progress, interval: str, first: int, last: int, tell: Callable[[int], None]
    ) -> None:
        step = interval_ms(interval)
        frames: list[pl.DataFrame] = []
        at = first
        while at < last:
            # Forwards by windows of one page: the head of the lake stays one unbroken stretch.
            stop = min(at + PAGE_BARS * step, last)
            frames += self._window(done, interval, at, stop)
            tell((stop - at) // step)
            at = stop
            if frames and (len(frames) >= _BATCH_PAGES or at >= last):
                fresh = pl.concat(frames).sort("ts")
                done.bars += self._lake.append(self._venue, interval, done.symbol, fresh)
                frames = []

    def _window(self, done: Progress, interval: str, at: int, stop: int) -> list[pl.DataFrame]:
        """Fetch [at, stop), at most one page; a page cut short is continued backwards."""
        frames: list[pl.DataFrame] = []
        while at < stop:
            reply = self._patiently(
                lambda b=stop: self._client.klines(
                    done.symbol, BYBIT_INTERVALS[interval], at, b - 1
                )
            )
            frame, rejected = kline_frame(reply["list"], interval, reply["time_ms"])
            frame = frame.filter(pl.col("ts").is_between(at, stop, closed="left"))
            done.rejected += rejected
            if not len(frame):
                break
            frames.append(frame)
            stop = int(frame["ts"][0])
        return frames

    def _fetch_funding(self, symbol: str, first: int, last: int) -> int:
        rows: dict[int, float] = {}
        end = last - 1
        while end >= first:
            reply = self._patiently(lambda b=end: self._client.funding(symbol, first, b))
            page = {}
            for row in reply["list"]:
                ts, rate = (
                    _number(_get(row, "fundingRateTimestamp")),
                    _number(_get(row, "fundingRate")),
                )
                if np.isfinite(ts) and np.isfinite(rate) and first <= ts < last:
                    page[int(ts)] = rate
            rows |= page
            if len(reply["list"]) < _FUNDING_PAGE or not page:
                break
            end = min(page) - 1
        if rows:
            stamps = sorted(rows)
            frame = pl.DataFrame({"ts": stamps, "funding_rate": [rows[ts] for ts in stamps]})
            self._lake.write_funding(self._venue, symbol, frame)
        return len(rows)

    def _patiently(self, ask: Callable[[], dict[str, Any] | Trouble]) -> dict[str, Any]:
        """Ask until there is a reply, with doubling pauses; give up in one clear line."""
        pause_s = self._patience.first_pause_s
        for attempt in range(1, self._patience.attempts + 1):
            reply = ask()
            if not isinstance(reply, Trouble):
                return reply
            if reply.kind == "refused":
                raise _RefusedError(reply.detail)
            if not reply.passing or attempt == self._patience.attempts:
                raise self._unavailable(reply, attempt)
            self._retries += 1
            self._sleep(max(pause_s, reply.wait_s))
            pause_s = min(2 * pause_s, self._patience.longest_pause_s)
        raise AssertionError("attempts is at least 1")

    def _unavailable(self, trouble: Trouble, attempts: int) -> UnavailableError:
        host = self._client.endpoint
        if trouble.kind == "ip_banned":
            return UnavailableError(
                f"{host} refuses this IP: {trouble.detail}",
                why="over the limit of 600 requests in 5 s, or a country Bybit does not serve",
                hint="send nothing from this IP for 10 minutes, then run the same command again",
            )
        what = "cannot reach" if trouble.kind in ("unreachable", "timeout") else "no use of"
        return UnavailableError(
            f"{what} {host} after {attempts} tries: {trouble.detail}",
            hint="check the network; the same command goes on where this one stopped",
        )


class _RefusedError(Exception):
    """Bybit refuses this request for good."""


def missing_ranges(
    lake: Lake, series: tuple[str, str, str], start_ms: int, end_ms: int
) -> list[tuple[int, int]]:
    """Return the stretches of [start_ms, end_ms) that a series lacks, ascending, on the grid."""
    venue, interval, symbol = series
    step = interval_ms(interval)
    first, last = -(-start_ms // step) * step, end_ms // step * step
    if last <= first:
        return []
    folder = lake.folder(venue, interval, symbol)
    if not folder.is_dir() or not list(folder.glob("*.parquet")):
        return [(first, last)]
    have = lake.read(venue, interval, symbol, first, last).ts
    edges = np.concatenate(([first - step], have, [last]))
    holes = np.flatnonzero(np.diff(edges) > step)
    return [(int(edges[i]) + step, int(edges[i + 1])) for i in holes]


def kline_frame(rows: Iterable[Any], interval: str, time_ms: int) -> tuple[pl.DataFrame, int]:
    """Turn Bybit's kline rows into bars of the lake, ascending; count the rows rejected.

    The still-open candle carries no flag: it is the one whose close lies after the reply's own
    time. It is dropped and not counted as rejected.
    """
    step = interval_ms(interval)
    good, bad = [], 0
    for row in rows:
        numbers = [_number(x) for x in row] if isinstance(row, list) else []
        if len(numbers) != len(COLUMNS) or not np.isfinite(numbers).all() or numbers[0] % step:
            bad += 1
        else:
            good.append(numbers)
    data = np.array(good).reshape(-1, len(COLUMNS))
    frame = pl.DataFrame({name: data[:, i] for i, name in enumerate(COLUMNS)})
    frame = frame.with_columns(pl.col("ts").cast(pl.Int64))
    frame = frame.filter(pl.col("ts") + step <= time_ms)
    possible = frame.filter(possible_bars())
    bad += len(frame) - len(possible)
    return possible.unique("ts", keep="first", maintain_order=True).sort("ts"), bad


def _is_usdt_perpetual(row: Any) -> bool:
    return (
        isinstance(row, dict)
        and row.get("contractType") == "LinearPerpetual"
        and row.get("settleCoin") == "USDT"
        and row.get("status") == "Trading"
        and not row.get("isPreListing")
    )


def _get(row: Any, key: str) -> Any:
    return row.get(key) if isinstance(row, dict) else None


def _number(text: Any, default: float = float("nan")) -> float:
    try:
        return float(text)
    except (TypeError, ValueError):
        return default

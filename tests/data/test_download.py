"""The history client against a loopback server: pages, faults, and going on after a kill."""

import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from data.bybit_public import PublicClient, TokenBucket, Trouble
from data.catalog import Lake
from data.download import (
    BYBIT_INTERVALS,
    Downloader,
    Patience,
    Progress,
    UnavailableError,
    kline_frame,
    missing_ranges,
)
from engine.errors import DataError, UsageError
from tests.conftest import REPOSITORY
from tests.data.bybit_server import Exchange, instrument, kline_row, served
from tests.data.worlds import FIRST, STEP, run_of

DAY = 86_400_000
NOW = FIRST + 40 * DAY + STEP // 2  # in the middle of a candle


class Clock:
    """Time that passes only by waiting."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.slept: list[float] = []

    def now(self) -> float:
        return self.now_s

    def sleep(self, wait_s: float) -> None:
        self.slept.append(wait_s)
        self.now_s += wait_s


class Bench:
    def __init__(self, exchange: Exchange, url: str, lake: Lake) -> None:
        self.exchange, self.lake, self.clock = exchange, lake, Clock()
        bucket = TokenBucket(now=self.clock.now, sleep=self.clock.sleep, rate_per_s=1e9)
        self.client = PublicClient(url, bucket=bucket, timeout_s=0.5)
        self.loader = Downloader(
            lake, self.client, sleep=self.clock.sleep, patience=Patience(attempts=4)
        )

    def fetch(self, symbol: str = "AUSDT", days: int = 40) -> Progress:
        return self.loader.fetch(symbol, "15m", FIRST + (40 - days) * DAY, NOW)


@pytest.fixture
def bench(tmp_path) -> Iterator[Bench]:
    exchange = Exchange(now_ms=NOW)
    exchange.klines["AUSDT"] = {
        FIRST + i * STEP: kline_row(FIRST + i * STEP, 100 + i % 50) for i in range(40 * 96 + 1)
    }
    exchange.funding["AUSDT"] = {FIRST + i * DAY // 3: "0.0001" for i in range(-600, 120)}
    with served(exchange) as url:
        bench = Bench(exchange, url, Lake(tmp_path, durable=False))
        yield bench
        bench.client.close()


def _whole(bench: Bench) -> bool:
    bars = bench.lake.read("bybit", "15m", "AUSDT")
    want = sorted(t for t in bench.exchange.klines["AUSDT"] if t + STEP <= NOW)
    rows = [bench.exchange.klines["AUSDT"][t] for t in want]
    return (
        bars.ts.tolist() == want
        and bars.close.tolist() == [float(r[4]) for r in rows]
        and bars.turnover.tolist() == [float(r[6]) for r in rows]
    )


def test_all_pages_come_and_the_open_candle_does_not(bench):
    done = bench.fetch()
    assert (done.bars, done.missing, done.rejected, done.trouble) == (40 * 96, 0, 0, "")
    assert _whole(bench)
    assert int(bench.lake.read("bybit", "15m", "AUSDT").ts[-1]) + STEP <= NOW
    for query in bench.exchange.asked("/v5/market/kline"):
        assert query["limit"] == "1000"
        assert query["category"] == "linear"
        assert int(query["end"]) - int(query["start"]) < 1000 * STEP


def test_only_what_is_missing_is_asked_for(bench):
    bench.fetch(days=10)
    first = len(bench.exchange.requests)
    assert bench.fetch(days=10).requests == 0
    assert len(bench.exchange.requests) == first
    done = bench.fetch(days=40)
    assert done.bars == 30 * 96
    assert _whole(bench)
    bench.exchange.now_ms = NOW + DAY
    later = bench.loader.fetch("AUSDT", "15m", NOW - DAY, NOW + DAY)
    assert later.ranges == [(FIRST + 40 * DAY, FIRST + 41 * DAY)]


def test_a_hole_that_bybit_has_is_told_and_not_filled(bench):
    for i in range(500, 540):
        del bench.exchange.klines["AUSDT"][FIRST + i * STEP]
    done = bench.fetch()
    assert (done.bars, done.missing) == (40 * 96 - 40, 40)
    assert _whole(bench)


@pytest.mark.parametrize("fault", ["10006", "10016", "10000", "html", "html200", "drop", "hang"])
def test_a_passing_fault_is_waited_out(bench, fault):
    bench.exchange.faults = {1: fault, 3: fault, 4: fault}
    done = bench.fetch()
    assert done.retries == 3
    assert _whole(bench)
    pauses = [s for s in bench.clock.slept if s]
    assert len(pauses) == 3
    assert pauses[2] == pytest.approx(max(1.0 if fault == "10006" else 0.0, 2 * 0.5))
    assert max(pauses) <= 30


def test_a_lasting_fault_ends_in_one_clear_line_with_what_was_kept(bench):
    bench.exchange.cut = 100
    bench.fetch(days=5)
    kept = len(bench.lake.read("bybit", "15m", "AUSDT"))
    bench.exchange.always = "html"
    with pytest.raises(UnavailableError) as caught:
        bench.fetch()
    assert "after 4 tries: HTTP 502" in caught.value.what
    assert "goes on where this one stopped" in caught.value.hint
    assert len(bench.clock.slept) == 3
    assert len(bench.lake.read("bybit", "15m", "AUSDT")) == kept
    bench.exchange.always, bench.exchange.cut = "", 10_000
    bench.fetch()
    assert _whole(bench)


def test_a_ban_is_not_answered_with_more_requests(bench):
    bench.exchange.faults = {2: "403"}
    with pytest.raises(UnavailableError, match="refuses this IP") as caught:
        bench.fetch()
    assert "10 minutes" in caught.value.hint
    assert len(bench.exchange.requests) == 2
    assert bench.clock.slept == []


def test_an_unknown_symbol_is_a_refusal_not_a_retry(bench):
    done = bench.fetch("NOPEUSDT")
    assert "10001" in done.trouble
    assert (done.requests, done.bars) == (1, 0)


def test_nobody_there_is_one_line(tmp_path):
    clock = Clock()
    bucket = TokenBucket(now=clock.now, sleep=clock.sleep)
    client = PublicClient("http://127.0.0.1:9", bucket=bucket, timeout_s=1)
    loader = Downloader(Lake(tmp_path), client, sleep=clock.sleep)
    with pytest.raises(UnavailableError, match=r"cannot reach http://127\.0\.0\.1:9 after 6 tries"):
        loader.fetch("AUSDT", "15m", FIRST, FIRST + DAY)
    assert clock.slept == [0.5, 1.0, 2.0, 4.0, 8.0]
    assert not list(tmp_path.iterdir())
    client.close()


def test_short_and_double_pages_still_give_every_bar_once(bench):
    bench.exchange.cut, bench.exchange.twice = 333, True
    done = bench.fetch()
    assert done.missing == 0
    assert _whole(bench)


def test_rows_that_cannot_be_real_are_left_out_and_counted(bench):
    known = bench.exchange.klines["AUSDT"]
    known[FIRST + 7 * STEP][2] = "1"  # high under close
    known[FIRST + 8 * STEP][4] = ""
    known[FIRST + 9 * STEP] = known[FIRST + 9 * STEP][:5]
    known[FIRST + 10 * STEP][1] = "-3"
    done = bench.fetch()
    assert done.rejected == 4
    assert done.missing == 4
    stamps = set(bench.lake.read("bybit", "15m", "AUSDT").ts.tolist())
    assert not stamps & {FIRST + i * STEP for i in (7, 8, 9, 10)}


def test_a_reply_of_another_shape_is_no_crash(bench):
    bench.exchange.always = "shapeless"
    with pytest.raises(UnavailableError, match=r"without result\.list"):
        bench.fetch()


def test_funding_comes_in_pages_with_start_and_end(bench):
    done = Progress("AUSDT")
    bench.loader.fetch_funding("AUSDT", FIRST - 200 * DAY, NOW, done)
    assert (done.funding, done.trouble) == (720, "")
    got = bench.lake.funding("bybit", "AUSDT")
    assert got is not None
    assert got["ts"].to_list() == sorted(bench.exchange.funding["AUSDT"])
    asked = bench.exchange.asked("/v5/market/funding/history")
    assert len(asked) >= 4
    assert all("startTime" in q and "endTime" in q for q in asked)
    again = Progress("AUSDT")
    bench.loader.fetch_funding("AUSDT", FIRST - 200 * DAY, NOW, again)
    assert again.funding == 0


def test_the_universe_has_all_pages_and_only_usdt_perpetuals(bench):
    rows = [instrument(f"C{i:03d}USDT") for i in range(25)]
    rows += [
        instrument("XUSDC", settleCoin="USDC"),
        instrument("YUSDT-27MAR26", contractType="LinearFutures"),
        instrument("ZUSDT", status="PreLaunch"),
        instrument("WUSDT", isPreListing=True),
    ]
    bench.exchange.instruments, bench.exchange.page = rows, 10
    ranked = bench.loader.choose("all")
    assert len(ranked) == 25
    assert list(ranked)[:2] == ["C024USDT", "C023USDT"]
    assert list(bench.loader.choose("top:3")) == ["C024USDT", "C023USDT", "C022USDT"]
    assert bench.loader.choose("C001USDT") == {"C001USDT": 1_585_526_400_000}
    cursors = [q.get("cursor") for q in bench.exchange.asked("/v5/market/instruments-info")[:3]]
    assert cursors == [None, "p%3A10", "p%3A20"]
    with pytest.raises(DataError, match="C01USDT"):
        bench.loader.choose("C01USDT")
    asked = len(bench.exchange.asked("/v5/market/instruments-info"))
    for spec in ("top:0", "top:many", ","):
        with pytest.raises(UsageError):
            bench.loader.choose(spec)
    # a wish that cannot be understood costs the venue no request
    assert len(bench.exchange.asked("/v5/market/instruments-info")) == asked


def test_pybit_never_retries_by_itself(bench):
    bench.exchange.always = "10002"  # pybit's own rules would ask three times and wait 9 s
    got = bench.client.klines("AUSDT", "15", FIRST, FIRST + DAY)
    assert isinstance(got, Trouble)
    assert got.kind == "refused"
    assert len(bench.exchange.requests) == 1


def test_the_bucket_keeps_the_rate():
    clock = Clock()
    bucket = TokenBucket(now=clock.now, sleep=clock.sleep, rate_per_s=10, burst=5)
    for _ in range(105):
        bucket.take()
    assert clock.now_s == pytest.approx(10.0)
    clock.now_s += 60
    for _ in range(5):
        assert bucket.take() == 0  # a long pause gives back the burst and no more
    assert bucket.take() > 0


def test_the_open_candle_is_the_one_that_closes_after_the_reply():
    rows = [kline_row(FIRST + STEP, 5.0), kline_row(FIRST, 4.0)]
    for time_ms, count in ((FIRST + 2 * STEP, 2), (FIRST + 2 * STEP - 1, 1), (FIRST, 0)):
        frame, rejected = kline_frame(rows, "15m", time_ms)
        assert (len(frame), rejected) == (count, 0)
    assert BYBIT_INTERVALS["1d"] == "D"
    assert BYBIT_INTERVALS["4h"] == "240"


def test_missing_ranges_are_on_the_grid(tmp_path):
    lake = Lake(tmp_path, durable=False)
    name = ("bybit", "15m", "AUSDT")
    assert missing_ranges(lake, name, FIRST + 1, FIRST + 3 * STEP + 5) == [
        (FIRST + STEP, FIRST + 3 * STEP)
    ]
    lake.write_bars(*name, run_of(10, first=FIRST + 5 * STEP))
    lake.append(*name, run_of(2, first=FIRST + 17 * STEP))
    assert missing_ranges(lake, name, FIRST, FIRST + 20 * STEP) == [
        (FIRST, FIRST + 5 * STEP),
        (FIRST + 15 * STEP, FIRST + 17 * STEP),
        (FIRST + 19 * STEP, FIRST + 20 * STEP),
    ]
    assert missing_ranges(lake, name, FIRST + 6 * STEP, FIRST + 9 * STEP) == []
    assert missing_ranges(lake, name, FIRST + 9, FIRST + 10) == []


CHILD = """
import sys
from data.bybit_public import PublicClient, TokenBucket
from data.catalog import Lake
from data.download import Downloader
bucket = TokenBucket(now=lambda: 0.0, sleep=lambda s: None, rate_per_s=1e9)
client = PublicClient(sys.argv[2], bucket=bucket)
loader = Downloader(Lake(sys.argv[1]), client, sleep=lambda s: None)
loader.fetch("AUSDT", "1m", int(sys.argv[3]), int(sys.argv[4]), tell=lambda n: print(n, flush=True))
"""


def test_a_killed_download_goes_on_where_it_stopped(tmp_path):
    minute = 60_000
    count = 40_000
    exchange = Exchange(now_ms=FIRST + count * minute)
    exchange.klines["AUSDT"] = {
        FIRST + i * minute: kline_row(FIRST + i * minute, 100 + i % 50) for i in range(count)
    }
    lake = Lake(tmp_path)
    end = FIRST + count * minute
    with served(exchange) as url:
        command = [sys.executable, "-c", CHILD, str(tmp_path), url, str(FIRST), str(end)]
        with subprocess.Popen(  # noqa: S603
            command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True
        ) as child:
            assert child.stdout is not None
            for _ in range(24):
                assert child.stdout.readline()
            child.send_signal(signal.SIGKILL)
            child.wait()
        kept = len(lake.read("bybit", "1m", "AUSDT"))
        assert 10_000 <= kept < count
        before = len(exchange.requests)
        subprocess.run(command, cwd=REPOSITORY, check=True, stdout=subprocess.DEVNULL)  # noqa: S603
        assert len(exchange.requests) - before <= (count - kept) // 1000 + 2
    bars = lake.read("bybit", "1m", "AUSDT")
    assert bars.ts.tolist() == sorted(exchange.klines["AUSDT"])

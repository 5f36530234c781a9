"""Clock, bus, settings, universe."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import DataError
from engine.venue.wire import InstrumentInfo, TickerInfo
from live.bus import LocalBus, Overflow, SlowSubscriber
from live.clock import ManualClock, SystemClock
from live.market.universe import Exclusion, Rules, judge, select
from live.settings import Settings, load_settings

DAY = 86_400_000
NOW = 400 * DAY

# ---------------------------------------------------------------------------- clock


async def test_manual_clock_wakes_sleepers_in_order_of_due_time() -> None:
    clock = ManualClock(1_700_000_000_000)
    woken: list[int] = []

    async def sleeper(delay_s: int) -> None:
        await clock.sleep(delay_s)
        woken.append(delay_s)

    tasks = [asyncio.create_task(sleeper(d)) for d in (3, 1, 2)]
    while clock.sleepers < 3:  # noqa: ASYNC110 - the clock under test owns no event
        await asyncio.sleep(0)
    clock.advance(2.0)
    await asyncio.gather(*tasks[1:])
    assert woken == [1, 2]
    assert clock.now_ms() == 1_700_000_002_000
    clock.advance(1.0)
    await tasks[0]
    assert woken == [1, 2, 3]


async def test_manual_clock_keeps_milliseconds_at_large_times() -> None:
    clock = ManualClock(1_700_000_000_000)
    for _ in range(1000):
        clock.advance(0.001)
    assert clock.now_ms() == 1_700_000_001_000
    assert clock.monotonic_s() == 1.0


def test_system_clock_monotonic_never_goes_back() -> None:
    clock = SystemClock()
    readings = [clock.monotonic_s() for _ in range(100)]
    assert readings == sorted(readings)


# ---------------------------------------------------------------------------- bus


async def test_latest_loses_the_oldest_and_counts() -> None:
    bus = LocalBus()
    async with bus.subscribe("price", overflow=Overflow.LATEST, size=2) as prices:
        for i in range(5):
            await bus.publish("price", i)
        assert [await prices.get(), await prices.get()] == [3, 4]
        assert prices.dropped == 3


async def test_disconnect_is_loud_and_loses_nothing_before() -> None:
    bus = LocalBus()
    reader = bus.subscribe("phase", overflow=Overflow.DISCONNECT, size=2)
    for i in range(3):
        await bus.publish("phase", i)
    assert [await reader.get(), await reader.get()] == [0, 1]
    with pytest.raises(SlowSubscriber, match="phase"):
        await reader.get()
    assert bus.disconnected == 1
    assert not bus.has_readers("phase")


async def test_wait_holds_the_publisher_until_there_is_room() -> None:
    bus = LocalBus()
    reader = bus.subscribe("phase", overflow=Overflow.WAIT, size=1)
    await bus.publish("phase", 0)
    second = asyncio.create_task(bus.publish("phase", 1))
    for _ in range(10):
        await asyncio.sleep(0)
    assert not second.done()
    assert await reader.get() == 0
    await second
    assert await reader.get() == 1
    reader.close()
    with pytest.raises(StopAsyncIteration):
        await reader.get()


async def test_closing_a_reader_frees_a_waiting_publisher() -> None:
    bus = LocalBus()
    reader = bus.subscribe("phase", overflow=Overflow.WAIT, size=1)
    await bus.publish("phase", 0)
    waiting = asyncio.create_task(bus.publish("phase", 1))
    await asyncio.sleep(0)
    reader.close()
    async with asyncio.timeout(5):
        await waiting


async def test_a_reader_iterates_only_its_topic() -> None:
    bus = LocalBus()
    reader = bus.subscribe("a", overflow=Overflow.LATEST, size=10)
    await bus.publish("b", "no")
    await bus.publish("a", "yes")
    reader.close()
    assert [v async for v in reader] == ["yes"]


# ---------------------------------------------------------------------------- settings


def test_every_setting_is_documented() -> None:
    bare = [n for n, f in Settings.model_fields.items() if not f.description]
    assert bare == []


def test_sources_win_in_order(tmp_path: Path) -> None:
    file = tmp_path / "zion.toml"
    file.write_text('interval = "1h"\nprofile = "early"\nwindow_bars = 500\n')
    environ = {"ZION_PROFILE": "strict", "PORT": "9000", "ZION_PORT": "9001", "ZION_LAKE": "/lake"}
    loaded = load_settings(environ, file=file, window_bars=700, host=None)
    s = loaded.settings
    assert (s.interval, s.profile, s.window_bars, s.port) == ("1h", "strict", 700, 9000)
    assert s.lake == Path("/lake")
    assert loaded.sources["interval"] == "zion.toml"
    assert loaded.sources["profile"] == "ZION_PROFILE"
    assert loaded.sources["window_bars"] == "argument"
    assert loaded.sources["port"] == "PORT"
    assert loaded.sources["host"] == "default"


@pytest.mark.parametrize(
    ("environ", "word"),
    [
        ({"PORT": "99999"}, "port"),
        ({"ZION_INTERVAL": "7m"}, "interval"),
        ({"ZION_VENUE": "moon"}, "venue"),
        ({"ZION_GRACE_S": "-1"}, "grace_s"),
    ],
)
def test_an_impossible_value_is_named(environ: dict[str, str], word: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=word):
        load_settings(environ, file=tmp_path / "none.toml")


def test_a_broken_or_unknown_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "zion.toml"
    file.write_text("interval = ")
    with pytest.raises(DataError, match=r"zion\.toml"):
        load_settings({}, file=file)
    file.write_text("intervall = '1h'")
    with pytest.raises(DataError, match="intervall"):
        load_settings({}, file=file)


def test_blacklist_reads_lists_and_commas(tmp_path: Path) -> None:
    for text in ('["A","B"]', "A, B"):
        s = load_settings({"ZION_BLACKLIST": text}, file=tmp_path / "none.toml").settings
        assert s.blacklist == {"A", "B"}


def test_the_lake_at_home_is_found(tmp_path: Path) -> None:
    none = load_settings({}, file=tmp_path / "x", home=tmp_path).settings
    assert none.lake_path is None
    (tmp_path / "lake").mkdir()
    assert none.lake_path == tmp_path / "lake"


# ---------------------------------------------------------------------------- universe


def coin(**changes: Any) -> InstrumentInfo:
    base: dict[str, Any] = {
        "symbol": "AUSDT",
        "contract_type": "LinearPerpetual",
        "status": "Trading",
        "settle_coin": "USDT",
        "launch_time": str(NOW - 100 * DAY),
    }
    return InstrumentInfo(**{**base, **changes})


RICH = TickerInfo("AUSDT", turnover_24h="9000000")


@pytest.mark.parametrize(
    ("info", "ticker", "reason"),
    [
        (coin(), RICH, None),
        (coin(contract_type="LinearFutures"), RICH, Exclusion.NOT_USDT_PERPETUAL),
        (coin(settle_coin="USDC"), RICH, Exclusion.NOT_USDT_PERPETUAL),
        (coin(symbol="BADUSDT"), RICH, Exclusion.BLACKLISTED),
        (coin(is_pre_listing=True), RICH, Exclusion.PRE_LISTING),
        (coin(status="PreLaunch"), RICH, Exclusion.NOT_TRADING),
        (coin(delivery_time=str(NOW + DAY)), RICH, Exclusion.DELISTING),
        (coin(launch_time=str(NOW - 30 * DAY + 1)), RICH, Exclusion.TOO_NEW),
        (coin(launch_time=str(NOW - 30 * DAY)), RICH, None),
        (coin(), None, Exclusion.NO_TICKER),
        (coin(), TickerInfo("AUSDT"), Exclusion.NO_TURNOVER),
        (coin(), TickerInfo("AUSDT", turnover_24h="4999999.9"), Exclusion.THIN),
        (coin(), TickerInfo("AUSDT", turnover_24h="5000000"), None),
    ],
)
def test_each_reason(info: InstrumentInfo, ticker: TickerInfo | None, reason: object) -> None:
    rules = Rules(blacklist=frozenset({"BADUSDT"}))
    assert judge(info, ticker, rules, NOW) is reason


@given(order=st.permutations(range(6)))
def test_selection_does_not_depend_on_order(order: list[int]) -> None:
    infos = [coin(symbol=f"C{i}USDT") for i in range(6)]
    tickers = [TickerInfo(f"C{i}USDT", turnover_24h=str(i * 2_000_000)) for i in range(6)]
    one = select([infos[i] for i in order], [tickers[i] for i in reversed(order)], Rules(), NOW)
    assert one.symbols == ("C3USDT", "C4USDT", "C5USDT")
    assert set(one.excluded) == {"C0USDT", "C1USDT", "C2USDT"}


def test_diff_names_what_came_and_why_others_went() -> None:
    old = select(
        [coin(symbol="AUSDT"), coin(symbol="BUSDT")], [RICH, ticker("BUSDT")], Rules(), NOW
    )
    new = select(
        [coin(symbol="AUSDT", delivery_time="5"), coin(symbol="CUSDT")],
        [RICH, ticker("CUSDT")],
        Rules(),
        NOW,
    )
    added, removed = old.diff(new)
    assert added == ("CUSDT",)
    assert removed == {"AUSDT": "delisting announced", "BUSDT": "no longer listed"}


def ticker(symbol: str) -> TickerInfo:
    return TickerInfo(symbol, turnover_24h="9000000")

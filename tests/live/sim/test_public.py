"""The public topics and lists beside the replayed candles, over real sockets and by request."""

import json
from decimal import Decimal

import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from engine.venue.instrument import plain
from live.venues.bybit.faults import Fault
from live.venues.bybit.simcandles import bounds, candles
from live.venues.bybit.simlimits import LimitRules
from live.venues.bybit.simtopics import make_feed
from tests.live.helpers import STEP
from tests.live.sim.face import SYMBOL, replay_of, running
from tests.live.sim.inside import BEGIN, Inside

DAY_MS = 86_400_000


async def hear(stream, topic: str, amount: int) -> list[dict]:
    out = []
    while len(out) < amount:
        message = await stream.hear()
        if message.get("topic") == topic:
            out.append(message)
    return out


async def test_tickers_begin_with_a_snapshot_and_go_on_with_what_changed() -> None:
    async with running(updates=1) as v:
        user = await v.user()
        topic = f"tickers.{SYMBOL}"
        async with user.stream("public/linear") as s:
            assert (await s.ask({"op": "subscribe", "args": [topic]}))["success"]
            (whole,) = await hear(s, topic, 1)
            assert whole["type"] == "snapshot"
            known = dict(whole["data"])
            await v.sim.advance(3)
            for message in await hear(s, topic, 6):
                assert message["type"] == "delta"
                known |= message["data"]
        url = f"{v.addresses['rest']}/v5/market/tickers?category=linear&symbol={SYMBOL}"
        (row,) = (await v.http.get(url)).json()["result"]["list"]
        assert {k: known[k] for k in row} == row


@pytest.mark.parametrize("depth", [1, 50, 200, 1000])
async def test_a_book_kept_from_deltas_is_the_book_asked_for(depth: int) -> None:
    async with running(updates=2) as v:
        user = await v.user()
        topic = f"orderbook.{depth}.{SYMBOL}"
        async with user.stream("public/linear") as s:
            assert (await s.ask({"op": "subscribe", "args": [topic]}))["success"]
            book: dict[str, dict[str, str]] = {}
            messages = await hear(s, topic, 1)
            await v.sim.advance(2)
            messages += await hear(s, topic, 6)
        before = 1
        for message in messages:
            data = message["data"]
            snapshot = message["type"] == "snapshot"
            assert snapshot == (depth == 1 or not book)
            assert data["u"] == before + 1
            before = data["u"]
            for side in ("b", "a"):
                kept = {} if snapshot else book[side]
                kept |= dict(data[side])
                book[side] = {p: q for p, q in kept.items() if q != "0"}
        url = f"{v.addresses['rest']}/v5/market/orderbook?category=linear&symbol={SYMBOL}"
        asked = (await v.http.get(f"{url}&limit={depth}")).json()["result"]
        for side, sign in (("b", -1), ("a", 1)):
            kept = sorted(book[side].items(), key=lambda level: sign * Decimal(level[0]))
            assert [list(level) for level in kept] == asked[side]
        assert Decimal(asked["b"][0][0]) < Decimal(asked["a"][0][0])


async def test_trades_told_are_the_trades_listed() -> None:
    async with running(updates=3) as v:
        user = await v.user()
        topic = f"publicTrade.{SYMBOL}"
        async with user.stream("public/linear") as s:
            await s.ask({"op": "subscribe", "args": [topic]})
            await v.sim.advance(3)
            told: list[dict] = []
            while len(told) < 12:
                (message,) = await hear(s, topic, 1)
                told += message["data"]
        assert [t["T"] for t in told] == sorted(t["T"] for t in told)
        url = f"{v.addresses['rest']}/v5/market/recent-trade?category=linear&symbol={SYMBOL}"
        listed = (await v.http.get(f"{url}&limit=12")).json()["result"]["list"]
        assert [t["i"] for t in reversed(told[-12:])] == [t["execId"] for t in listed]
        bars = v.sim.replay.bars[SYMBOL]
        at = int(np.searchsorted(bars.ts, v.sim.clock_ms - STEP))
        assert Decimal(listed[1]["price"]) == round(Decimal(float(bars.close[at])), 2)


async def test_wider_candles_by_stream_and_by_request_agree_with_the_narrow_ones() -> None:
    async with running(updates=0) as v:
        user = await v.user()
        topic = f"kline.60.{SYMBOL}"
        async with user.stream("public/linear") as s:
            await s.ask({"op": "subscribe", "args": [topic]})
            await v.sim.advance(12)
            closed: list[dict] = []
            while len(closed) < 2:
                (message,) = await hear(s, topic, 1)
                closed += [c for c in message["data"] if c["confirm"]]
        url = f"{v.addresses['rest']}/v5/market/kline?category=linear&symbol={SYMBOL}"
        rows = (await v.http.get(f"{url}&interval=60&limit=50")).json()["result"]["list"]
        by_start = {int(r[0]): r for r in rows}
        assert [int(r[0]) for r in rows] == sorted(by_start, reverse=True)
        bars = v.sim.replay.bars[SYMBOL]
        for candle in closed:
            row = by_start[candle["start"]]
            names = ("open", "high", "low", "close", "volume", "turnover")
            assert [candle[n] for n in names] == row[1:]
            part = (bars.ts >= candle["start"]) & (bars.ts < candle["start"] + 3_600_000)
            assert float(row[1]) == bars.open[part][0]
            assert float(row[2]) == bars.high[part].max()
            assert float(row[3]) == bars.low[part].min()
            assert float(row[4]) == bars.close[part][-1]
            assert float(row[5]) == pytest.approx(bars.volume[part].sum())
        finer = (await v.http.get(f"{url}&interval=5")).json()
        assert finer["retCode"] == 10001


def test_weeks_begin_on_monday_and_months_on_the_first() -> None:
    at = 1_767_225_600_000  # Thursday, 1 January 2026
    assert bounds(at, "W") == (at - 3 * DAY_MS, at + 4 * DAY_MS)
    assert bounds(at, "M") == (at, at + 31 * DAY_MS)
    assert bounds(at - 1, "M") == (at - 31 * DAY_MS, at)
    assert bounds(at + 1, "240") == (at, at + 14_400_000)
    replay = replay_of(1, 3000)
    found = candles(replay, SYMBOL, "D", 0, BEGIN + 90 * DAY_MS, 5, replay.last + STEP)
    assert len(found) == 5
    assert all(c.end - c.start == DAY_MS for c in found)


def test_a_service_restart_and_a_lost_update_are_told_as_the_venue_tells_them() -> None:
    v = Inside(
        [Fault("skip_u", nth=2), Fault("resnapshot", nth=3), Fault("repeat_snapshot", nth=5)]
    )
    feed = make_feed(v.desk.view, f"orderbook.50.{SYMBOL}", v.venue.plan)
    assert feed is not None
    seen = [json.loads(f) for f in feed.first()]
    for _ in range(6):
        v.pass_ms(STEP)
        seen += [json.loads(f) for f in feed.tick()]
    told = [(m["type"], m["data"]["u"]) for m in seen]
    # the second update was lost, at the third the book began anew
    before = [("snapshot", 2), ("delta", 3), ("snapshot", 1), ("delta", 2)]
    assert told == [*before, ("snapshot", 2), ("delta", 3)]
    assert seen[4]["data"]["u"] == seen[3]["data"]["u"]
    assert v.fired == {"skip_u": 1, "resnapshot": 1, "repeat_snapshot": 1}


async def test_limits_liquidations_and_quiet_topics() -> None:
    async with running(updates=1) as v:
        user = await v.user()
        topics = [f"priceLimit.{SYMBOL}", f"allLiquidation.{SYMBOL}", "adlAlert.USDT"]
        async with user.stream("public/linear") as s:
            assert (await s.ask({"op": "subscribe", "args": topics}))["success"]
            (band,) = await hear(s, topics[0], 1)
            assert Decimal(band["data"]["buyLmt"]) > Decimal(band["data"]["sellLmt"])
            await v.control("faults", [{"kind": "liquidate"}])
            body = {"category": "linear", "symbol": SYMBOL, "side": "Buy", "orderType": "Market"}
            await user.post("/v5/order/create", body | {"qty": "5"})
            await v.sim.advance(1)
            (told,) = await hear(s, topics[1], 1)
            assert told["data"][0]["S"] == "Buy"
            refused = await s.ask({"op": "subscribe", "args": [f"orderbook.500.{SYMBOL}"]})
            while refused.get("op") != "subscribe":
                refused = await s.hear()
            assert not refused["success"]


def test_public_lists_have_their_pages_and_their_refusals() -> None:
    v = Inside(replay=replay_of(20, 400))
    names = sorted(v.desk.replay.bars)
    seen, cursor = [], ""
    for _ in range(5):
        query = "category=linear" + (f"&cursor={cursor}" if cursor else "")
        result = v.get("/v5/market/risk-limit", query)["result"]
        seen += [r["symbol"] for r in result["list"]]
        cursor = result["nextPageCursor"]
        if not cursor:
            break
    assert sorted(set(seen)) == names
    assert len(seen) == len(set(seen)) * 5
    query = f"category=linear&symbol={SYMBOL}&intervalTime=1h&limit=3"
    first = v.get("/v5/market/open-interest", query)["result"]
    second = v.get("/v5/market/open-interest", f"{query}&cursor={first['nextPageCursor']}")
    stamps = [int(r["timestamp"]) for r in first["list"] + second["result"]["list"]]
    assert stamps == sorted(stamps, reverse=True)
    assert len(set(np.diff(stamps))) == 1
    pre = "category=linear&status=PreLaunch"
    assert v.get("/v5/market/instruments-info", pre)["result"]["list"] == []
    assert v.get("/v5/market/instruments-info", "category=spot")["result"]["list"] == []
    (one,) = v.get("/v5/market/instruments-info", f"category=linear&symbol={SYMBOL}")["result"][
        "list"
    ]
    assert one["priceFilter"]["tickSize"] == "0.01"
    for path, query in {
        "/v5/market/funding/history": f"category=linear&symbol={SYMBOL}&startTime=1",
        "/v5/market/orderbook": f"category=linear&symbol={SYMBOL}&limit=0",
        "/v5/market/recent-trade": "category=linear&symbol=NOSUCHUSDT",
        "/v5/market/tickers": "category=stocks",
        "/v5/market/price-limit": "",
        "/v5/market/mark-price-kline": f"category=linear&symbol={SYMBOL}&interval=7",
    }.items():
        assert v.get(path, query)["retCode"] == 10001, path
    mark = v.get("/v5/market/mark-price-kline", f"symbol={SYMBOL}&interval=15&limit=2")
    assert [len(r) for r in mark["result"]["list"]] == [5, 5]
    assert v.desk.crashes == []


async def test_the_whole_book_the_retail_book_and_their_topics() -> None:
    async with running(updates=1) as v:
        user = await v.user()
        topics = [f"orderbook.{kind}.{SYMBOL}" for kind in ("rpi", "full", "1000")]
        url = f"{v.addresses['rest']}/v5/market"
        query = f"category=linear&symbol={SYMBOL}"
        async with user.stream("public/linear") as s:
            assert (await s.ask({"op": "subscribe", "args": topics}))["success"]
            for topic in topics:
                (book,) = await hear(s, topic, 1)
                assert book["type"] == "snapshot"
            await v.sim.advance(2)
            (retail, *_) = await hear(s, topics[0], 1)
            assert {len(level) for level in retail["data"]["b"]} == {3}
            deep = [await hear(s, topics[2], 1) for _ in range(4)][-1][0]
        listed = (await v.http.get(f"{url}/orderbook?{query}&limit=1000")).json()["result"]
        assert listed["u"] == deep["data"]["u"], "a request's book fits into the stream's"
        whole = (await v.http.get(f"{url}/full_orderbook?{query}")).json()["result"]
        assert whole["b"] == listed["b"]
        rpi = (await v.http.get(f"{url}/rpi_orderbook?{query}&limit=50")).json()["result"]
        assert rpi["a"] == [[*level, "0"] for level in whole["a"][:50]]


async def test_an_address_has_so_many_public_connections_and_no_silent_ones() -> None:
    async with running(rules=LimitRules(streams=2)) as v:
        user = await v.user()
        async with user.stream("public/linear"), user.stream("public/linear") as s:
            with pytest.raises(InvalidStatus):
                async with user.stream("public/linear"):
                    raise AssertionError("let in")
            assert (await s.ask({"op": "ping"}))["ret_msg"] == "pong"
        v.sim.hub.idle_s = 0.01
        async with user.stream("public/linear") as s:
            with pytest.raises(ConnectionClosed):
                await s.hear()


def test_a_crossed_book_heals_with_its_next_update_and_a_stalled_ticker_tells_all_at_its_end() -> (
    None
):
    v = Inside([Fault("cross_book", nth=2), Fault("ticker_stall", nth=2, ms=2 * STEP)])
    book = make_feed(v.desk.view, f"orderbook.50.{SYMBOL}", v.venue.plan)
    ticker = make_feed(v.desk.view, f"tickers.{SYMBOL}", v.venue.plan)
    assert book is not None
    assert ticker is not None
    first = json.loads(book.first()[0])["data"]
    sides = [{Decimal(p): Decimal(q) for p, q in first[side]} for side in "ba"]
    crossed, heard = [], []
    for _ in range(4):
        v.pass_ms(STEP)
        for frame in book.tick():
            for side, changes in zip(sides, "ba", strict=True):
                side.update({Decimal(p): Decimal(q) for p, q in json.loads(frame)["data"][changes]})
        best = [{p for p, q in side.items() if q} for side in sides]
        crossed.append(max(best[0]) >= min(best[1]))
        heard.append([json.loads(f)["data"] for f in ticker.tick()])
    assert crossed == [False, True, False, False]
    assert [len(h) for h in heard] == [1, 0, 0, 1]
    assert heard[-1][0]["lastPrice"] == plain(v.desk.view.last(SYMBOL))
    assert v.fired == {"cross_book": 1, "ticker_stall": 1}

"""Tickers and books over real sockets: gaps, stalls, cut connections, refused topics."""

import contextlib
from collections.abc import AsyncIterator

import numpy as np

from engine.venue.replay import Replay
from live.clock import SystemClock
from live.market.quotes import Quotes
from live.venues.bybit.faults import Fault
from live.venues.bybit.market_stream import BybitMarketStream
from live.venues.bybit.shard import ShardOptions
from live.venues.bybit.shards import StreamOptions
from live.venues.bybit.simserver import SimServer
from tests.live.helpers import STEP, until, walk

QUICK = ShardOptions(backoff_first_s=0.01, backoff_max_s=0.1, answer_s=30.0)
NAMES = [f"S{i:03d}USDT" for i in range(6)]


class Follower:
    """A simulator, the real client on it, and what it has merged."""

    def __init__(self, sim: SimServer, ws: str, options: StreamOptions) -> None:
        clock = SystemClock()
        self.sim = sim
        self.notes: list[str] = []
        self.stream = BybitMarketStream(ws, clock, np.random.default_rng(0), options=options)
        self.quotes = Quotes(
            clock.monotonic_s,
            renew_ticker=self.stream.renew_ticker,
            renew_book=self.stream.renew_book,
            note=self.notes.append,
        )

    def follow(self, tickers, books) -> None:
        self.quotes.follow(tickers, books)
        self.stream.watch(tickers, books)

    def agrees(self, symbol: str) -> bool:
        quote = self.quotes.quote(symbol, self.sim.clock_ms)
        if quote is None or quote.stale:
            return False
        bid, ask = self.sim.venue.desk.view.best(symbol)
        return (quote.bid, quote.ask) == (float(bid[0]), float(ask[0]))

    def all_agree(self, symbols) -> bool:
        self.quotes.heal()  # what the service does each second
        return all(self.agrees(s) for s in symbols)


@contextlib.asynccontextmanager
async def following(
    tickers=NAMES, books=NAMES[:2], shard: ShardOptions = QUICK, **options
) -> AsyncIterator[Follower]:
    sim = SimServer(
        Replay(STEP, {s: walk(60, i) for i, s in enumerate(NAMES)}), "15m", SystemClock()
    )
    async with sim.running() as addresses:
        await sim.advance(3)
        f = Follower(sim, addresses["ws"], StreamOptions(shard=shard, **options))
        f.follow(tickers, books)
        await f.stream.start(f.quotes)
        try:
            yield f
        finally:
            await f.stream.close()


async def test_quotes_agree_with_the_venue_bar_by_bar_and_after_every_fault() -> None:
    async with following() as f:
        await until(lambda: f.all_agree(NAMES), "all known")
        for kind in ("skip_u", "cross_book", "resnapshot", "repeat_snapshot"):
            f.sim.add_faults([Fault(kind, topic=f"orderbook.50.{NAMES[0]}")])
            await f.sim.advance(2)
            await until(lambda: f.agrees(NAMES[1]), f"{kind}: the others do not notice")
            for _ in range(2):
                await f.sim.advance(1)
            await until(lambda: f.all_agree(NAMES), f"healed after {kind}")
            assert f.sim.hub.fired[kind] == 1
        assert f.quotes.counters.merges["gap"] == f.quotes.counters.merges["crossed"] == 1
        assert f.sim.hub.opened == 1, "healed without a new connection"


async def test_a_cut_connection_makes_all_stale_until_the_snapshots_come() -> None:
    async with following() as f:
        await until(lambda: f.all_agree(NAMES), "all known")
        f.sim.add_faults([Fault("abort", bars=0)])
        await f.sim.advance(1)
        await until(lambda: f.stream.figures().reconnects == 1, "noticed")
        await until(lambda: f.all_agree(NAMES), "back, with snapshots")
        assert len(f.notes) == 1


async def test_a_connection_on_which_nothing_comes_is_given_up() -> None:
    silent = ShardOptions(stall_s=0.4, backoff_first_s=0.01, backoff_max_s=0.05)
    async with following(shard=silent) as f:
        await until(lambda: f.stream.figures().reconnects >= 1, "given up")  # the market stands
        assert "no data for 0.4 s" in f.notes[0]


async def test_a_refused_topic_is_named_and_costs_no_other() -> None:
    async with following() as f:
        await until(lambda: f.all_agree(NAMES), "all known")
        f.follow([*NAMES, "NONEUSDT"], NAMES[:3])
        await until(lambda: "tickers.NONEUSDT" in f.quotes.refused_topics, "refused")
        await until(lambda: f.all_agree(NAMES), "the others are there")
        assert f.quotes.quote("NONEUSDT", f.sim.clock_ms) is None
        assert f.sim.hub.opened == 1


async def test_topics_spread_over_connections_within_the_venues_limit_of_characters() -> None:
    async with following(chars_per_connection=100) as f:
        await until(lambda: f.all_agree(NAMES), "all known")
        connections = list(f.sim.hub.connections.values())
        assert len(connections) > 1
        for connection in connections:
            assert sum(len(t) + 3 for t in connection.topics) <= 100
        f.follow(NAMES[:1], [])
        await until(lambda: len(f.sim.hub.connections) == 1, "empty connections end")
        assert f.agrees(NAMES[0])

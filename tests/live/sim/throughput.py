"""How fast the simulator goes at ``max``: symbol-bars a second, told over a real socket.

    python -m tests.live.sim.throughput [symbols] [bars] [users with 5 positions each] [updates]

Reader and server share one process here, so the figure is a floor.
"""

import asyncio
import json
import sys
from decimal import Decimal
from time import perf_counter

from websockets.asyncio.client import connect

from engine.venue import wire
from engine.venue.replay import Replay
from live.clock import SystemClock
from live.venues.bybit.simlimits import NO_LIMITS
from live.venues.bybit.simserver import SimServer
from tests.live.helpers import STEP, T0, walk


async def measure(symbols: int, bars: int, users: int, updates: int) -> float:
    """Return symbol-bars a second."""
    replay = Replay(STEP, {f"S{i:03d}USDT": walk(bars + 110, i) for i in range(symbols)})
    sim = SimServer(
        replay,
        "15m",
        SystemClock(),
        speed="max",
        updates=updates,
        start_ms=T0 + 100 * STEP,
        rules=NO_LIMITS,
    )
    names = list(replay.bars)
    for user in range(users):
        key = sim.venue.desk.open_account(Decimal(100_000))
        for i in range(5):
            body = {"category": "linear", "symbol": names[(user * 5 + i) % symbols]}
            body |= {"side": "Buy", "orderType": "Market", "qty": "1", "stopLoss": "10"}
            sim.venue.desk.order(wire.read_create(body, key.uid))
    async with (
        sim.running() as addresses,
        connect(addresses["ws"] + "/v5/public/linear", max_size=None, close_timeout=0.1) as socket,
    ):
        topics = [f"kline.15.{name}" for name in names]
        await socket.send(json.dumps({"op": "subscribe", "args": topics}))
        begin, told = perf_counter(), 0
        while told < symbols * bars:
            told += '"confirm":true' in str(await socket.recv())
        return told / (perf_counter() - begin)


if __name__ == "__main__":
    given = [int(a) for a in sys.argv[1:]] + [300, 100, 0, 0][len(sys.argv) - 1 :]
    rate = asyncio.run(measure(*given))
    sys.stdout.write(f"{given}: {rate:,.0f} symbol-bars/s\n")

"""The composition root: wires the parts to the outside world, as the settings say."""

import numpy as np

from data.records.port import Store
from engine.pipeline.profile import Profile
from live.bus import LocalBus
from live.clock import Clock, SystemClock
from live.market.keeper import Contexts
from live.service import MarketService
from live.settings import Settings


def build_market_service(
    settings: Settings,
    *,
    clock: Clock | None = None,
    profile: Profile | None = None,
    bus: LocalBus | None = None,
    store: Contexts | None = None,
) -> MarketService:
    """Wire the market layer to Bybit's public interfaces (or to whatever speaks like them).

    Parameters
    ----------
    settings : Settings
        Names the addresses, the profile and every limit.
    clock : Clock, optional
        The machine's by default.
    profile : Profile, optional
        Instead of the one the settings name.
    bus : LocalBus, optional
        Where news goes; an own one by default.
    store : Contexts, optional
        Keeps the coins' contexts beside the file.
    """
    from data.profiles import load_profile
    from live.venues.bybit.budget import WindowBudget
    from live.venues.bybit.market_stream import BybitMarketStream
    from live.venues.bybit.public_rest import BybitPublicRest
    from live.venues.bybit.public_stream import BybitPublicStream, ShardOptions, StreamOptions
    from live.venues.bybit.shards import CONNECTIONS_PER_5_MIN

    clock = clock or SystemClock()
    profile = profile or load_profile(settings.profile, settings.interval)
    options = StreamOptions(shard=ShardOptions(silence_s=settings.silence_s))
    # Jitter only: no decision hangs on it, so the seed may be anything that differs.
    rng = np.random.default_rng(clock.now_ms())
    budget = WindowBudget(clock, CONNECTIONS_PER_5_MIN, 300.0)  # of the address: both share it
    stream = BybitPublicStream(
        settings.ws_url, profile.interval, clock, rng, options=options, budget=budget
    )
    market = BybitMarketStream(settings.ws_url, clock, rng, budget=budget)
    rest = BybitPublicRest(settings.rest_url, clock)
    return MarketService(
        settings,
        profile,
        clock=clock,
        rest=rest,
        stream=stream,
        market=market,
        bus=bus,
        store=store,
    )


async def open_store(settings: Settings, *, clock: Clock | None = None) -> Store:
    """Open the store that the settings name; a file of our own is made, or brought up to date.

    Raises
    ------
    DataError
        It cannot be used, or a database that others may share has another schema.
    """
    from data.records.opening import open_store as open_address

    address = settings.database_address
    return await open_address(address, clock or SystemClock(), upgrade=address.startswith("sqlite"))

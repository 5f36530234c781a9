"""The market layer's composition root: wires it to the outside world."""

import numpy as np

from engine.pipeline.profile import Profile
from live.clock import Clock, SystemClock
from live.service import MarketService
from live.settings import Settings


def build_market_service(
    settings: Settings, *, clock: Clock | None = None, profile: Profile | None = None
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
    """
    from data.profiles import load_profile
    from live.venues.bybit.public_rest import BybitPublicRest
    from live.venues.bybit.public_stream import BybitPublicStream, ShardOptions, StreamOptions

    clock = clock or SystemClock()
    profile = profile or load_profile(settings.profile, settings.interval)
    options = StreamOptions(shard=ShardOptions(silence_s=settings.silence_s))
    # Jitter only: no decision hangs on it, so the seed may be anything that differs.
    rng = np.random.default_rng(clock.now_ms())
    stream = BybitPublicStream(settings.ws_url, profile.interval, clock, rng, options=options)
    rest = BybitPublicRest(settings.rest_url, clock)
    return MarketService(settings, profile, clock=clock, rest=rest, stream=stream)

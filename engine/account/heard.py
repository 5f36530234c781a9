"""From the detector's events to what users hear: one door for the live market and for history."""

from math import isfinite
from typing import Any

import numpy as np

from engine.account.signal import Quote, Signal, SignalEnd
from engine.messages import EventKind

ENDS = frozenset(
    {
        int(EventKind.FAILED),
        int(EventKind.INVAL),
        int(EventKind.DISARM),
        int(EventKind.COOLED),
        int(EventKind.RESET),
    }
)


def signal_of(
    record: np.ndarray, symbol: str, profile: str, interval: str, quote: Quote | None
) -> Signal:
    """Turn a BREAKOUT record of the detector into what users hear."""
    t = int(record["t"])
    return Signal(
        signal_id=f"{profile}-{interval}-{symbol}-{t}",
        symbol=symbol,
        profile=profile,
        interval_ms=int(record["tf_s"]) * 1000,
        t=t,
        close=float(record["close"]),
        level=float(record["level"]),
        levels=tuple(_real(x) or 0.0 for x in record["levels"]),
        floor=float(record["floor"]),
        batr=float(record["batr"]),
        atr=float(record["atr"]),
        drop=_real(record["drop"]) or 0.0,
        level_score=_real(record["level_score"]) or 0.0,
        touches=int(record["touches"]),
        breadth=_real(record["breadth"]),
        market_fall=_real(record["market_fall"]),
        residual_share=_real(record["residual_share"]),
        params_hash=int(record["params_hash"]),
        quote=quote,
    )


def end_of(record: np.ndarray, symbol: str, profile: str) -> SignalEnd:
    """Turn an event of `ENDS` into the end of a setup."""
    return SignalEnd(
        symbol=symbol,
        profile=profile,
        interval_ms=int(record["tf_s"]) * 1000,
        t=int(record["t"]),
        kind=EventKind(int(record["kind"])).name,
    )


def _real(value: Any) -> float | None:
    number = float(value)
    return number if isfinite(number) else None

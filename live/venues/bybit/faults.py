"""Scripted misbehaviour of the simulated stream: what happens, to whom, at which bar. Pure."""

from collections.abc import Sequence
from typing import Literal

import msgspec
import numpy as np

from engine.errors import DataError
from live.venues.bybit.replay import Replay

Kind = Literal[
    "close",  # the server sends a close frame
    "abort",  # the TCP connection is reset
    "stall",  # half-open: nothing comes any more, pings are answered
    "mute",  # half-open: nothing comes any more, pings are not answered
    "drop",  # a confirmed candle is never sent
    "late",  # a confirmed candle is sent `bars` bars later
    "duplicate",  # a confirmed candle is sent twice
    "malformed",  # a frame that is not JSON comes before the candle
    "refuse",  # subscribing this symbol is refused, `count` times
    "turn_away",  # the next `count` connections are refused
    "rest",  # the next `count` requests fail with `status` (HTTP) or `code` (retCode)
    "random",  # drawn by seed: `count` faults of the kind named in `draw`, spread over all bars
]
_PER_SYMBOL = frozenset({"drop", "late", "duplicate", "malformed", "refuse"})
_AT_A_BAR = frozenset({"close", "abort", "stall", "mute", "drop", "late", "duplicate", "malformed"})


class Fault(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One misbehaviour.

    ``at`` is the open time of the bar at whose close it happens, ms (0 = the next bar). For
    ``close`` and ``abort``, ``bars`` is how many bars pass unheard before anyone may connect again.
    """

    kind: Kind
    at: int = 0
    symbol: str = ""
    bars: int = 1
    count: int = 1
    status: int = 0
    code: int = 0
    draw: str = ""

    def __post_init__(self) -> None:
        if self.kind in _PER_SYMBOL and not self.symbol:
            raise ValueError(f"a {self.kind} fault needs a symbol")
        if self.bars < 0 or self.count < 1:
            raise ValueError(
                f"a {self.kind} fault cannot have bars {self.bars}, count {self.count}"
            )

    @property
    def at_a_bar(self) -> bool:
        """Tell whether it waits for a bar (or lies in wait for a request)."""
        return self.kind in _AT_A_BAR


def read_faults(raw: bytes) -> list[Fault]:
    """Read a JSON list of faults (or one).

    Raises
    ------
    DataError
        Naming what is wrong in which entry.
    """
    try:
        return msgspec.json.decode(raw, type=list[Fault])
    except msgspec.DecodeError as first:
        try:
            return [msgspec.json.decode(raw, type=Fault)]
        except msgspec.DecodeError:
            raise DataError("the list of faults cannot be read", why=str(first)) from None


def draw_faults(faults: Sequence[Fault], replay: Replay, seed: int) -> list[Fault]:
    """Replace every ``random`` fault by as many drawn ones; the rest stays as it is."""
    rng = np.random.default_rng(seed)
    minutes = range(replay.first, replay.last + 1, replay.interval_ms)
    out: list[Fault] = []
    for fault in faults:
        if fault.kind != "random":
            out.append(fault)
            continue
        amounts = {f"{fault.draw}s": fault.count}
        if fault.draw not in {"disconnect", "drop", "late", "duplicate"}:
            raise DataError(
                f"a random fault cannot draw {fault.draw!r}",
                hint="disconnect, drop, late or duplicate",
            )
        out += plan_faults(rng, list(replay.bars), minutes, **amounts)
    return out


def plan_faults(
    rng: np.random.Generator,
    symbols: Sequence[str],
    minutes: Sequence[int],
    *,
    disconnects: int = 0,
    drops: int = 0,
    lates: int = 0,
    duplicates: int = 0,
) -> list[Fault]:
    """Draw a fault plan: so many of each kind, spread over bars and symbols.

    Parameters
    ----------
    rng : numpy.random.Generator
    symbols : sequence of str
        Whose candles suffer.
    minutes : sequence of int
        Open times of the bars to choose from, ms.
    disconnects, drops, lates, duplicates : int
        How many; a disconnect is a close frame or a reset by turns, 0 to 3 bars long.
    """
    plan: list[Fault] = []

    def bar() -> int:
        return int(minutes[int(rng.integers(len(minutes)))])

    def who() -> str:
        return symbols[int(rng.integers(len(symbols)))]

    stamps = rng.choice(len(minutes), size=min(disconnects, len(minutes)), replace=False)
    for i, at in enumerate(sorted(int(x) for x in stamps)):
        kind: Kind = "close" if i % 2 else "abort"
        plan.append(Fault(kind, at=int(minutes[at]), bars=int(rng.integers(0, 4))))
    plan += [Fault("drop", at=bar(), symbol=who()) for _ in range(drops)]
    plan += [
        Fault("late", at=bar(), symbol=who(), bars=int(rng.integers(1, 4))) for _ in range(lates)
    ]
    plan += [Fault("duplicate", at=bar(), symbol=who()) for _ in range(duplicates)]
    return plan

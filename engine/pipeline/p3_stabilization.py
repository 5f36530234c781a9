"""Phase 3, stabilisation: no new low for a while, and the bars have calmed down."""

from typing import NamedTuple

from engine.kernels._jit import kernel
from engine.pipeline.phase import P_STABILIZATION

# What the rule says; 0 = keep waiting.
WAIT, SETTLED, RECOVERED, EXPIRED = 0, 1, 2, 3


class StabilizationParams(NamedTuple):
    """When a fall is over, and when it is given up."""

    calm_bars: int = 12  # without a new low: the coin is shown as stabilising; decides nothing
    n_stab: int = 48  # without a new low
    atr_contraction: float = 0.5  # ATR against its largest since the dump
    stab_max: int = 192  # after it the dump is forgotten
    recovery: float = 0.618  # of the dump won back at once: a V, no base


@kernel
def stabilization(s, p, base_max: int, c: float) -> int:
    """Judge a dump whose trough stands; phase 3 is entered on the way, silently."""
    if c > s.trough + p.recovery * (s.peak - s.trough):
        return RECOVERED
    quiet = s.n - s.trough_bar
    if quiet > p.stab_max or s.n - s.dump_bar > p.stab_max + base_max:
        return EXPIRED
    if quiet >= p.n_stab and s.atr <= p.atr_contraction * s.atr_max:
        return SETTLED
    if quiet >= p.calm_bars:
        s.phase = P_STABILIZATION
    return WAIT

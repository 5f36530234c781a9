"""The shipped profiles with every bar count shrunk, so that a few hundred bars visit all phases."""

from data.profiles import load_profile
from engine.pipeline.detector import DetectorParams

NAMES = ("default", "early", "strict", "v1")
SHRINK = 4


def small(
    name: str, interval: str = "15m", *, round_weight: float | None = None, gap_max: int = 0
) -> DetectorParams:
    """Return a shipped profile's parameters with its bar counts divided by `SHRINK`."""
    p = load_profile(name, interval).params

    def cut(n: int, least: int) -> int:
        return max(least, n // SHRINK)

    m, s, b, a, k = p.monitor, p.stabilization, p.base, p.armed, p.breakout
    armed = a if round_weight is None else a._replace(w_round=round_weight)
    return p._replace(
        monitor=m._replace(
            n_atr=cut(m.n_atr, 7),
            n_slow=cut(m.n_slow, 24),
            window=cut(m.window, 24),
            gap_max=gap_max,
        ),
        stabilization=s._replace(
            calm_bars=cut(s.calm_bars, 2), n_stab=cut(s.n_stab, 4), stab_max=cut(s.stab_max, 40)
        ),
        base=b._replace(
            base_min=cut(b.base_min, 12),
            base_max=cut(b.base_max, 120),
            batr_bars=cut(b.batr_bars, 16),
        ),
        armed=armed,
        breakout=k._replace(cool_bars=cut(k.cool_bars, 4), fail_bars=cut(k.fail_bars, 4)),
    )

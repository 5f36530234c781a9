"""Swings by directional change (intrinsic time): a pivot exists once price has come back by theta.

The functions work on the fields of a coin context; the pivot's own bar and the bar that confirms it
differ, and nothing may use a pivot before its confirmation.
"""

from engine.kernels._jit import kernel

PIVOTS = 32  # ring size; engine.pipeline.phase allocates it
HIGH, LOW, NONE = 1, -1, 0
_MASK = PIVOTS - 1  # the ring's size is a power of two


@kernel
def _extend(s, price: float, n: int, relvol: float) -> None:
    s.zz_price = price
    s.zz_bar = n
    s.zz_relvol = relvol
    if s.piv_n > 0:  # the last pivot's rejection grows until the next one stands
        j = (s.piv_n - 1) & _MASK
        s.piv_rej[j] = abs(s.piv_price[j] - price)


@kernel
def _confirm(s, kind: int, price: float, n: int, relvol: float) -> None:
    j = s.piv_n & _MASK
    s.piv_price[j] = s.zz_price
    s.piv_bar[j] = s.zz_bar
    s.piv_kind[j] = kind
    s.piv_relvol[j] = s.zz_relvol
    s.piv_n += 1
    s.zz_dir = -kind
    _extend(s, price, n, relvol)


@kernel
def swing_step(s, h: float, lo: float, n: int, relvol: float, theta: float) -> int:
    """Advance the swing state by one bar; return HIGH or LOW when a pivot was confirmed, else NONE.

    A bar that both extends and reverses counts as extending: one change a bar.
    """
    if s.zz_dir == 0:
        s.zz_dir = 1
        _extend(s, h, n, relvol)
        return 0
    if s.zz_dir > 0:
        if h >= s.zz_price:
            _extend(s, h, n, relvol)
        elif s.zz_price - lo >= theta:
            _confirm(s, 1, lo, n, relvol)
            return 1
    elif lo <= s.zz_price:
        _extend(s, lo, n, relvol)
    elif h - s.zz_price >= theta:
        _confirm(s, -1, h, n, relvol)
        return -1
    return 0

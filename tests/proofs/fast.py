"""The same sum twice: in order, and as fastmath is free to order it."""

import numba


@numba.njit
def plain_sum(x):
    total = 0.0
    for i in range(len(x)):
        total += x[i]
    return total


@numba.njit(fastmath=True)
def fast_sum(x):
    total = 0.0
    for i in range(len(x)):
        total += x[i]
    return total

"""How the interpreter is set up for a process with a thousand engines.

The collector of cycles walks everything that lives, and by default it does so again whenever the
young have grown by a quarter: with a thousand engines, whose states are all young and none a cycle,
that is a third of the processor and pauses in the middle of a signal.
"""

import gc

YOUNG, MIDDLE, OLD = 20_000, 20, 100


def set_garbage() -> None:
    """Collect seldom: cycles are rare here, and memory is freed by count all the same."""
    gc.set_threshold(YOUNG, MIDDLE, OLD)


def settle_garbage() -> None:
    """Leave what lives for long, such as code and compiled kernels, out of every collection."""
    set_garbage()
    gc.collect()
    gc.freeze()

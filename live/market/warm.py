"""``python -m live.market.warm``: every kernel of a running service compiled, or found cached."""

from engine.warm import warm
from live.market.ring import warm_ring


def main() -> None:
    """Warm the engine's kernels and the live window's."""
    for _ in warm():
        pass
    warm_ring()


if __name__ == "__main__":
    main()

"""An event loop without a clock of its own: time jumps to the next timer, order comes from a seed.

Code written for asyncio runs on it unchanged as long as it opens no socket, starts no thread and
asks only the given `Clock` for the time. The same seed gives the same run, step by step; another
seed runs tasks that are ready at the same instant in another order.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import numpy as np

T = TypeVar("T")

START_MS = 1_750_000_000_000  # wall clock at the loop's time 0; any instant would do


class StuckError(RuntimeError):
    """Nothing is ready, no timer runs, and the main task is not done: it would wait for ever."""


class _Jump:
    """Stands where a loop keeps its selector: instead of waiting, time moves on."""

    def __init__(self, loop: "SimLoop") -> None:
        self._loop = loop

    def select(self, timeout_s: float | None) -> list[Any]:
        if timeout_s is None:
            raise StuckError("no task is ready and no timer runs")
        self._loop.elapsed_s += max(0.0, timeout_s)
        return []

    def close(self) -> None:
        pass


class SimLoop(asyncio.BaseEventLoop):
    """Virtual time from 0 (a float near 1.7e9 would round small delays away)."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.elapsed_s = 0.0
        self._selector = _Jump(self)
        self._dice = np.random.default_rng(seed)
        self._ready: deque[Any]
        self._clock_resolution = 1e-9

    def time(self) -> float:
        """Return virtual seconds since the start."""
        return self.elapsed_s

    def _process_events(self, event_list: list[Any]) -> None:
        pass

    def _write_to_self(self) -> None:
        pass

    def _run_once(self) -> None:
        if len(self._ready) > 1:
            waiting = list(self._ready)
            self._dice.shuffle(waiting)
            self._ready.clear()
            self._ready.extend(waiting)
        super()._run_once()  # pyrefly: ignore[missing-attribute]

    def call_soon_threadsafe(self, callback: Any, *args: Any, context: Any = None) -> Any:
        """Refuse: a thread would bring its own time."""
        raise RuntimeError(f"no thread may speak to a simulated loop: {callback} {args} {context}")

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:
        """Refuse: a thread would bring its own time."""
        raise RuntimeError(f"no thread may be used on a simulated loop: {func} {args} {executor}")


class SimClock:
    """The `Clock` of a simulated loop."""

    def __init__(self, loop: SimLoop, start_ms: int = START_MS) -> None:
        self._loop = loop
        self._start_ms = start_ms

    def now_ms(self) -> int:
        """Return the virtual wall clock, UTC ms."""
        return self._start_ms + int(self._loop.elapsed_s * 1000.0)

    def monotonic_s(self) -> float:
        """Return virtual seconds."""
        return self._loop.elapsed_s

    async def sleep(self, delay_s: float) -> None:
        """Let virtual time pass."""
        await asyncio.sleep(max(0.0, delay_s))

    def call_later(self, delay_s: float, call: Callable[[], None]) -> asyncio.TimerHandle:
        """Call when so much virtual time has passed."""
        return self._loop.call_later(max(0.0, delay_s), call)


def run(main: Callable[[SimClock], Coroutine[Any, Any, T]], seed: int) -> T:
    """Run a coroutine to its end in virtual time and clean up after it.

    Raises
    ------
    StuckError
        Everybody waits for somebody else.
    """
    loop = SimLoop(seed)
    try:
        asyncio.set_event_loop(loop)
        try:
            return loop.run_until_complete(main(SimClock(loop)))
        finally:
            left = asyncio.all_tasks(loop)
            for task in left:
                task.cancel()
            if left:
                loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
            loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        asyncio.set_event_loop(None)
        loop.close()

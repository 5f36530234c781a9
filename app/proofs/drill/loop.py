"""An event loop of several simulated processes: one may freeze, or die between two steps.

Every callback belongs to the process that scheduled it (a context variable follows tasks and
timers). A frozen process' callbacks wait; a dead one's are dropped, so that no `finally`, no
handler and no clean-up of it ever runs: what a kill -9 leaves behind is what had left it before.
"""

import asyncio
import contextlib
import contextvars
import heapq
import warnings
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from app.proofs.drill.dice import Dice
from app.proofs.simloop import START_MS, SimLoop

T = TypeVar("T")


class Life:
    """One simulated process, as far as the loop is concerned.

    Parameters
    ----------
    name : str
        Of our own making; the same at every replay.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.dead = False
        self.frozen = False
        self.why = ""
        self.dead_s: float | None = None

    @property
    def runs(self) -> bool:
        """Tell whether its code may run now."""
        return not self.dead and not self.frozen

    def __repr__(self) -> str:
        return f"Life({self.name})"


OWNER: contextvars.ContextVar[Life | None] = contextvars.ContextVar("owner", default=None)
WORLD = contextvars.Context()  # belongs to nobody: the venue, the wires, the people


class DrillLoop(SimLoop):
    """A `SimLoop` that knows whose step is next."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self._coins = Dice(seed)
        self._held: list[Any] = []  # callbacks of frozen processes
        self._dropped: list[Any] = []  # of dead ones: what is forgotten would be cleaned up
        self._tasks: list[asyncio.Task[Any]] = []
        self.over = False  # every callback runs: the world has ended

    def _run_once(self) -> None:
        ready = self._ready
        if len(ready) > 1:
            waiting = list(ready)
            self._coins.shuffle(waiting)
            ready.clear()
            ready.extend(waiting)
        if self._held:
            self._thaw()
        asyncio.BaseEventLoop._run_once(self)  # noqa: SLF001 # pyrefly: ignore[missing-attribute]

    def _thaw(self) -> None:
        held, self._held = self._held, []
        for handle in held:
            life = handle._context.get(OWNER)  # noqa: SLF001 - the loop's own
            if life is None or life.runs or self.over:
                self._ready.append(handle)
            elif life.dead:
                self._dropped.append(handle)
            else:
                self._held.append(handle)

    def _call_soon(self, callback: Any, args: Any, context: Any) -> Any:
        handle = _Soon(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def call_at(self, when: float, callback: Any, *args: Any, context: Any = None) -> Any:
        """Call back at a moment of virtual time, if its process runs then."""
        timer = _Later(when, callback, args, self, context)
        heapq.heappush(self._scheduled, timer)  # pyrefly: ignore[missing-attribute]
        timer._scheduled = True  # noqa: SLF001 # pyrefly: ignore[missing-attribute]
        return timer

    def create_task(self, coro: Any, *, name: Any = None, context: Any = None) -> Any:
        """Start a task, and keep it: the coroutine of a dead process must not be collected."""
        task = super().create_task(coro, name=name, context=context)
        self._tasks.append(task)
        return task

    def forget(self) -> None:
        """Let go of everything: the world is over."""
        self._tasks.clear()
        self._dropped.clear()

    def drop(self, handle: asyncio.Handle) -> None:
        """Keep what a dead process would have done next, undone."""
        self._dropped.append(handle)

    def hold(self, handle: asyncio.Handle) -> None:
        """Keep a callback until its process runs again."""
        self._held.append(handle)


class _Soon(asyncio.Handle):
    """A callback that runs only while its process does."""

    __slots__ = ()

    def _run(self) -> None:
        life = self._context.get(OWNER)  # pyrefly: ignore[missing-attribute]
        if life is None or life.runs or self._loop.over:  # pyrefly: ignore[missing-attribute]
            super()._run()  # pyrefly: ignore[missing-attribute]
        elif life.dead:
            self._loop.drop(self)  # pyrefly: ignore[missing-attribute]
        else:
            self._loop.hold(self)  # pyrefly: ignore[missing-attribute]


class _Later(asyncio.TimerHandle):
    """The same, of a timer."""

    __slots__ = ()

    def _run(self) -> None:
        life = self._context.get(OWNER)  # pyrefly: ignore[missing-attribute]
        if life is None or life.runs or self._loop.over:  # pyrefly: ignore[missing-attribute]
            super()._run()  # pyrefly: ignore[missing-attribute]
        elif life.dead:
            self._loop.drop(self)  # pyrefly: ignore[missing-attribute]
        else:
            self._loop.hold(self)  # pyrefly: ignore[missing-attribute]


class WorldClock:
    """The true time of a simulation."""

    def __init__(self, loop: DrillLoop, start_ms: int = START_MS) -> None:
        self._loop = loop
        self._start_ms = start_ms

    def now_ms(self) -> int:
        """Return the wall clock, UTC ms."""
        return self._start_ms + int(self._loop.elapsed_s * 1000.0)

    def monotonic_s(self) -> float:
        """Return seconds since the start."""
        return self._loop.elapsed_s

    async def sleep(self, delay_s: float) -> None:
        """Let time pass."""
        await asyncio.sleep(max(0.0, delay_s))

    def call_later(self, delay_s: float, call: Callable[[], None]) -> asyncio.TimerHandle:
        """Call when so much time has passed."""
        return self._loop.call_later(max(0.0, delay_s), call)


class ProcessClock(WorldClock):
    """A process' clock: its wall clock may be wrong and may jump, its monotonic one never does."""

    def __init__(self, loop: DrillLoop, start_ms: int = START_MS, skew_ms: int = 0) -> None:
        super().__init__(loop, start_ms)
        self.skew_ms = skew_ms

    def now_ms(self) -> int:
        """Return what this process' wall clock says."""
        return super().now_ms() + self.skew_ms


def spawn(life: Life | None, coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    """Start a task that belongs to a process (None: to the world)."""
    context = contextvars.Context()
    context.run(OWNER.set, life)
    return asyncio.get_running_loop().create_task(coroutine, context=context)


_ROUNDS = 10


def run(main: Callable[[DrillLoop], Coroutine[Any, Any, T]], seed: int) -> T:
    """Run a coroutine to its end in virtual time, then let everything left end unheard."""
    warnings.simplefilter("ignore", RuntimeWarning)  # what the dead had begun is never awaited
    loop = DrillLoop(seed)
    loop.set_exception_handler(lambda _loop, _said: None)
    try:
        asyncio.set_event_loop(loop)
        return loop.run_until_complete(main(loop))
    finally:
        _end(loop)
        asyncio.set_event_loop(None)
        loop.close()


def _end(loop: DrillLoop) -> None:
    """Unwind what is left, the dead included: their ports do nothing any more."""
    loop.over = True
    loop.forget()
    for _ in range(_ROUNDS):
        left = asyncio.all_tasks(loop)
        if not left:
            return
        for task in left:
            task.cancel()
        loop.run_until_complete(asyncio.wait(left, timeout=0.001))
    for task in asyncio.all_tasks(loop):
        task._log_destroy_pending = False  # noqa: SLF001 # pyrefly: ignore[missing-attribute]
        with contextlib.suppress(BaseException):
            task.get_coro().close()  # pyrefly: ignore[missing-attribute]

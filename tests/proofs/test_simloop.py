"""The simulated loop: virtual time, seeded order, no way out."""

import asyncio

import pytest

from app.proofs.simloop import START_MS, SimClock, StuckError, run


def _trace(seed: int) -> list[tuple[int, str]]:
    seen: list[tuple[int, str]] = []

    async def worker(clock: SimClock, name: str) -> None:
        for step in range(3):
            await clock.sleep(3600.0 * step)
            seen.append((clock.now_ms() - START_MS, name))

    async def main(clock: SimClock) -> None:
        await asyncio.gather(*(worker(clock, n) for n in "abcdef"))

    run(main, seed)
    return seen


def test_the_same_seed_gives_the_same_run_and_another_seed_another_order() -> None:
    assert _trace(1) == _trace(1)
    assert len({tuple(_trace(seed)) for seed in range(10)}) > 5
    assert sorted(_trace(1)) == sorted(_trace(2))


def test_hours_pass_at_once_and_to_the_millisecond() -> None:
    async def main(clock: SimClock) -> int:
        await clock.sleep(86_400.0)
        await clock.sleep(0.001)
        return clock.now_ms()

    assert run(main, 0) == START_MS + 86_400_001


def test_waiting_for_nobody_is_an_error_and_not_a_hang() -> None:
    async def main(_clock: SimClock) -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(StuckError):
        run(main, 0)


def test_threads_are_refused() -> None:
    async def main(_clock: SimClock) -> None:
        await asyncio.to_thread(print)

    with pytest.raises(RuntimeError, match="no thread"):
        run(main, 0)


def test_tasks_left_behind_are_ended() -> None:
    ended: list[str] = []

    async def forever(clock: SimClock) -> None:
        try:
            while True:
                await clock.sleep(1.0)
        finally:
            ended.append("yes")

    async def main(clock: SimClock) -> int:
        task = asyncio.create_task(forever(clock))
        await clock.sleep(5.0)
        return id(task)

    run(main, 0)
    assert ended == ["yes"]

"""A wait ends with the answer or with its time, and leaves nothing behind."""

import asyncio

import pytest

from live.clock import Late, ManualClock, SystemClock, within


async def _turns(amount: int = 5) -> None:
    for _ in range(amount):
        await asyncio.sleep(0)


def test_the_answer_comes_in_time_and_the_alarm_is_gone():
    async def main() -> None:
        clock = ManualClock()
        answer = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(within(clock, answer, 5.0))
        await _turns()
        answer.set_result(7)
        assert await task == 7
        assert clock.sleepers == 0

    asyncio.run(main())


def test_late_cancels_what_was_waited_for():
    async def main() -> None:
        clock = ManualClock()
        answer = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(within(clock, answer, 5.0))
        await _turns()
        clock.advance(4.999)
        await _turns()
        assert not task.done()
        clock.advance(0.001)
        with pytest.raises(Late):
            await task
        assert answer.cancelled()

    asyncio.run(main())


def test_an_error_of_the_awaited_comes_through_and_a_cancelled_wait_cancels_it():
    async def fails() -> None:
        raise LookupError

    async def main() -> None:
        clock = SystemClock()
        with pytest.raises(LookupError):
            await within(clock, fails(), 5.0)
        answer = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(within(clock, answer, 5.0))
        await _turns()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert answer.cancelled()

    asyncio.run(main())


def test_a_cancelled_alarm_does_not_ring():
    async def main() -> None:
        clock, rung = ManualClock(), []
        clock.call_later(1.0, lambda: rung.append("kept"))
        clock.call_later(1.0, lambda: rung.append("cancelled")).cancel()
        clock.advance(2.0)
        await _turns()
        assert rung == ["kept"]

    asyncio.run(main())

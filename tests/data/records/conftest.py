"""The stores that must all keep the one contract."""

from collections.abc import AsyncIterator

import pytest

from data.records.memory import MemoryStore
from data.records.port import Store
from live.clock import ManualClock
from tests.data.records.make import NOW


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture(params=["memory"])
async def store(clock: ManualClock) -> AsyncIterator[Store]:
    made: Store = MemoryStore(clock)
    yield made
    await made.close()

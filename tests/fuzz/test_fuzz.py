"""A short fuzz, and proof that it would see what it looks for."""

import asyncio

import numpy as np
import pytest

from live.clock import SystemClock
from live.venues.bybit.simlimits import NO_LIMITS
from live.venues.bybit.simserver import SimServer
from tests.fuzz import codec, desk, sockets
from tests.fuzz.corpus import FRAMES, written
from tests.fuzz.mutate import Dice, mutate
from tests.fuzz.score import Score
from tests.fuzz.world import World, small_replay, told

SEED = 5


def dice(*path: int) -> Dice:
    return Dice(np.random.default_rng([SEED, *path]))


@pytest.fixture(scope="module")
def messages() -> list[bytes]:
    return told()


def test_readers_survive(messages):
    score = codec.fuzz(dice(1), 15_000, messages)
    assert not score.failed, score.examples
    for name in codec.targets(messages):  # none is refused or accepted blindly
        assert score.accepted[name] > 20, name
    assert score.turned_away.total() > 5_000


def test_venue_survives():
    score = desk.fuzz(dice(2), 4_000)
    assert not score.failed, score.examples
    assert score.accepted["POST /v5/order/create"] > 10
    assert score.accepted["bystander"] == 1


async def test_sockets_survive():
    replay = small_replay()
    server = SimServer(
        replay, "1m", SystemClock(), start_ms=replay.default_start(), rules=NO_LIMITS
    )
    async with server.running() as at:
        attack = sockets.Attacker
        score = await asyncio.to_thread(lambda: attack(dice(3), at["rest"], at["ws"]).run(400))
    assert not score.failed, score.examples
    assert score.accepted["bystander"] == 1


def test_the_same_seed_makes_the_same_cases():
    samples = written(FRAMES["trade"])
    one, two, other = dice(1), dice(1), dice(2)
    first = [mutate(one, samples) for _ in range(200)]
    assert first == [mutate(two, samples) for _ in range(200)]
    assert first != [mutate(other, samples) for _ in range(200)]


def test_a_reader_that_raises_is_seen(messages, monkeypatch):
    def fragile(row):
        return row["orderId"].upper()

    monkeypatch.setattr(codec, "_ROW_READERS", {"fragile": fragile})
    score = codec.fuzz(dice(4), 6_000, messages)
    assert set(score.failed) == {"fragile"}
    assert score.examples


def test_a_harmed_bystander_is_seen():
    world = World()
    bystander = desk.Bystander(world)
    world.post(bystander.key, "/v5/order/cancel-all", b'{"category":"linear","symbol":"BTCUSDT"}')
    score = Score()
    bystander.check(score)
    assert score.failed["bystander"]


def test_a_venue_that_crashes_is_seen():
    attack = desk.Attack(dice(6))
    attack.crashes.append("planted")
    attack.post()
    assert attack.score.failed.total() == 1

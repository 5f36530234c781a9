"""Both faces of the simulator tell the same of one scripted session, through the same client."""

import asyncio
from dataclasses import fields

from app.proofs import simloop
from app.proofs.contract.bench import bench_on
from app.proofs.contract.faces import inside, served
from app.proofs.contract.trace import Trace, session


def in_process(seed: int) -> Trace:
    async def main(clock: simloop.SimClock) -> Trace:
        async with inside(clock, seed) as parts, bench_on(parts) as bench:
            return await session(bench)

    return simloop.run(main, seed)


def over_sockets(seed: int) -> Trace:
    async def main() -> Trace:
        async with served(seed) as parts, bench_on(parts) as bench:
            return await session(bench)

    return asyncio.run(main())


def test_one_session_two_faces_one_trace() -> None:
    one, two = in_process(7), over_sockets(7)
    for part in fields(Trace):
        assert getattr(one, part.name) == getattr(two, part.name), part.name
    assert len(one.executions) > 12
    assert {row[1] for row in one.executions} == {"Trade", "Funding"}
    assert {row[9] for row in one.orders} >= {"", "StopLoss", "TakeProfit", "TrailingStop"}
    assert one.listed_slots[0][2] == 0


def test_another_book_is_another_trace() -> None:
    """The comparison would see a difference: the same session on a book of another seed."""
    assert in_process(7).executions != in_process(8).executions

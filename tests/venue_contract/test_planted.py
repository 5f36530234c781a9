"""The cases can fail: venues and clients with one mistake each are found out by the right case."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from app.proofs import simloop
from app.proofs.contract import CASES
from app.proofs.contract.faces import inside
from app.proofs.contract.run import FAILED, PASSED, Verdict, run_cases
from live.venues.bybit.transport import Auth, NoReply, Params, Reply, Transport

Change = Callable[[str, dict[str, Any]], dict[str, Any]]


class Mistaken:
    """A transport that changes requests on their way."""

    def __init__(self, inner: Transport, change: Change) -> None:
        self._inner = inner
        self._change = change

    async def send(
        self, method: str, path: str, params: Params, *, auth: Auth | None = None
    ) -> Reply | NoReply:
        return await self._inner.send(method, path, self._change(path, dict(params)), auth=auth)

    async def close(self) -> None:
        await self._inner.close()


def drop(path: str, *names: str) -> Change:
    """Leave parameters out of the requests to a path."""

    def change(asked: str, params: dict[str, Any]) -> dict[str, Any]:
        return {k: v for k, v in params.items() if asked != path or k not in names}

    return change


def put(path: str, **values: Any) -> Change:
    """Set parameters of the requests to a path."""

    def change(asked: str, params: dict[str, Any]) -> dict[str, Any]:
        return {**params, **values} if asked == path else params

    return change


CREATE, AMEND = "/v5/order/create", "/v5/order/amend"


@pytest.mark.parametrize(
    ("numbers", "change"),
    [
        ((3, 4, 61), drop(CREATE, "orderLinkId")),
        ((26, 27, 28, 36), drop(CREATE, "stopLoss")),
        ((43, 44), drop(CREATE, "reduceOnly")),
        ((40, 42), drop(CREATE, "triggerPrice", "triggerDirection")),
        ((9, 10, 11), put(CREATE, timeInForce="GTC")),
        ((21,), drop("/v5/order/cancel-all", "orderFilter")),
        ((15, 63), drop(AMEND, "price")),
        ((34, 35), drop("/v5/position/trading-stop", "activePrice")),
        ((54,), drop("/v5/order/realtime", "cursor")),
        ((55,), drop("/v5/execution/list", "cursor")),
        ((76,), put("/v5/order/history", orderLinkId="another")),
        ((56,), drop(CREATE, "positionIdx")),
    ],
    ids=lambda v: "-".join(map(str, v)) if isinstance(v, tuple) else "",
)
def test_a_planted_mistake_is_found_by_its_cases(numbers: tuple[int, ...], change: Change) -> None:
    verdicts = run(list(numbers), change)
    assert {v.number for v in verdicts if v.result == FAILED} == set(numbers), verdicts


def run(numbers: list[int], change: Change) -> list[Verdict]:
    async def one(clock: simloop.SimClock, number: int) -> list[Verdict]:
        async with inside(clock, 5) as parts:
            inner = parts.transport
            wrong = replace(parts, transport=lambda: Mistaken(inner(), change))
            return await run_cases([CASES[number]], wrong)

    return [v for n in numbers for v in simloop.run(lambda clock, n=n: one(clock, n), 5)]


def test_the_same_way_without_a_mistake_passes() -> None:
    assert {v.result for v in run([1, 3, 21, 27, 54], lambda _, params: params)} == {PASSED}

"""The drill with real processes: its judge can be displeased, its ends fall as named."""

from collections import Counter
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from app.proofs.drill.real import RealTask, drill_real, settings_of_users, strikes
from app.proofs.drill.real_child import hang_on
from app.proofs.drill.real_judge import Books, compare
from app.proofs.drill.real_world import Naked
from data.records.chain import GENESIS
from data.records.rows import IntentRow, SettingsRow, Stored, UserRow
from engine.account.commands import PlaceOrder
from engine.risk.ranges import check_settings

EXECUTION = {"execId": "e1", "execQty": "2", "execPrice": "10", "execFee": "0.1"}


def order(link: str, filled: str) -> dict[str, str]:
    return {"orderLinkId": link, "cumExecQty": filled}


def intent(link: str, signal: str, state: str = "done") -> IntentRow:
    place = PlaceOrder(
        link_id=link, trade_id="t", leg="entry", symbol="AUSDT", side="Buy",
        order_type="Limit", qty=Decimal(2),
    )  # fmt: skip
    return IntentRow(
        user_id="u", link_id=link, trade_id="t", signal_id=signal, symbol="AUSDT", leg="entry",
        state=state, body=msgspec.json.encode(place), created_ms=1, expires_ms=2,
    )  # fmt: skip


class Told:
    """A store that says what it is told to."""

    def __init__(self, intents: tuple[IntentRow, ...], executions: tuple[Any, ...]) -> None:
        self._intents, self._executions = intents, executions

    async def trades(self, *_: Any) -> list[Any]:
        return [SimpleNamespace(trade_id="t")]

    async def intents(self, *_: Any) -> tuple[IntentRow, ...]:
        return self._intents

    async def executions(self, *_: Any) -> tuple[Any, ...]:
        return self._executions

    async def audit(self, *_: Any) -> list[Any]:
        return []

    async def verdicts(self, *_: Any) -> list[Any]:
        return []

    async def load(self, _user: str) -> Stored:
        return Stored(
            user=UserRow(user_id="u", name="u"),
            settings=SettingsRow(user_id="u", version=1, body=b"{}", created_ms=1),
            state=None, version=0, state_hash="", intents=self._intents,
            audit_seq=0, audit_hash=GENESIS,
        )  # fmt: skip


def execution(name: str = "e1", fee: str = "0.1") -> Any:
    return SimpleNamespace(exec_id=name, qty=Decimal(2), price=Decimal(10), fee=Decimal(fee))


@pytest.mark.parametrize(
    ("intents", "executions", "orders", "found"),
    [
        ((intent("a", "s"),), (execution(),), [order("a", "2")], ""),
        ((intent("a", "s"),), (), [order("a", "2")], "lost"),
        ((intent("a", "s"),), (execution(fee="0.2"),), [order("a", "2")], "wrong"),
        ((intent("a", "s"),), (execution(), execution()), [order("a", "2")], "duplicates"),
        ((intent("a", "s"),), (execution(), execution("e2")), [order("a", "2")], "wrong"),
        ((intent("a", "s"),), (execution(),), [order("a", "2")] * 2, "duplicates"),
        ((), (execution(),), [order("a", "2")], "wrong"),
        ((intent("a", "s", "unknown"),), (execution(),), [order("a", "2")], "wrong"),
        (
            (intent("a", "s"), intent("b", "s")),
            (execution(),),
            [order("a", "2"), order("b", "1")],
            "duplicates",
        ),
        (
            (intent("a", "s"), intent("b", "s")),
            (execution(),),
            [order("a", "1"), order("b", "1")],
            "",
        ),
    ],
)
async def test_the_judge_sees_it(intents: Any, executions: Any, orders: Any, found: str) -> None:
    books = Books()
    truth = {"orders": orders, "executions": [EXECUTION]}
    await compare(Told(intents, executions), "u", truth, books)
    seen = {name for name in ("duplicates", "lost", "wrong") if getattr(books, name)}
    assert seen == ({found} if found else set())


def test_a_naked_position_is_timed_until_it_has_a_stop() -> None:
    naked = Naked()
    bare = [{"symbol": "A", "size": "1", "stopLoss": "0.00"}]
    naked.see(0, bare, 10.0)
    naked.see(0, bare, 12.0)
    worst_s = naked.worst_s
    assert worst_s >= 2.0
    naked.see(0, [{"symbol": "A", "size": "1", "stopLoss": "5"}], 20.0)
    naked.see(0, bare, 30.0)
    naked.see(0, [{"symbol": "A", "size": "0", "stopLoss": ""}], 31.0)
    assert (naked.worst_s, naked.times) == (worst_s, 2)


@pytest.mark.parametrize(
    ("moment", "done_at_end"), [("before", [1]), ("after", [1, 2]), ("sent", [1, 2])]
)
async def test_an_end_falls_where_it_is_named(moment: str, done_at_end: list[int]) -> None:
    done: list[int] = []
    seen: list[list[int]] = []

    class Desk:
        async def place(self, number: int) -> int:
            done.append(number)
            return number

    hang_on(
        Desk, "place", moment, 2, counts=lambda n: n < 9, end=lambda: seen.append(list(done))
    )  # fmt: skip
    desk = Desk()
    assert [await desk.place(n) for n in (1, 9, 2, 3)] == [1, 9, 2, 3]
    assert [[n for n in d if n != 9] for d in seen] == [done_at_end]


def test_what_happens_hangs_on_the_seed_alone() -> None:
    task = RealTask(8, 4, 4, seed=3)
    assert strikes(task) == strikes(task) != strikes(RealTask(8, 4, 4, seed=4))
    assert Counter(s.kind for s in strikes(task)) == {"kill": 8, "stop": 4, "overlap": 4}
    assert not [problem for s in settings_of_users() for problem in check_settings(s)]


class Silent:
    def say(self, text: str = "") -> None:
        """Say nothing."""


@pytest.mark.slow
@pytest.mark.parametrize("store", ["sqlite", "postgresql"])
def test_real_processes_lose_nothing(store: str) -> None:
    found = drill_real(RealTask(4, 1, 1, seed=1, store=store, coins=10), Silent())
    assert found.wrong == []
    assert found.books.entries
    assert found.done == {"kill": 4, "stop": 1, "overlap": 1}

"""What a case of the venue contract is, and the one list of them.

A case is a coroutine over a `Bench`: it acts through the port, waits for what the streams and the
lists say, and raises `Broken` where the venue (or the client) breaks the contract.
"""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

T = TypeVar("T")


class Need(StrEnum):
    """What a case needs of a face beyond an account; the word is what a report shows."""

    PRICE = "price control"  # the market goes where the case sends it
    FAULTS = "fault control"  # the venue misbehaves on demand
    MONEY = "money at risk"  # a small position is opened
    HEDGE = "hedge mode"  # the symbol's position mode is switched and switched back
    MANY = "many requests"  # dozens of orders
    ORDER_STREAM = "order entry stream"


class Broken(Exception):  # noqa: N818 - it names the event
    """The contract is broken; the message says where."""


class NotHere(Exception):  # noqa: N818 - it names the event
    """The case makes no sense on this contract or account; the message says why."""


@dataclass(frozen=True, slots=True)
class Case:
    """One numbered case.

    `clause` names what it checks: sections of the venue's documents as the project's dossier
    numbers them, and ids of docs/bybit-assumptions.md.
    """

    number: int
    title: str
    clause: str
    needs: frozenset[Need]
    run: Callable[[Any], Awaitable[None]]  # over a `Bench`

    def missing(self, offers: Iterable[Need]) -> list[Need]:
        """Return what a face does not offer, in the order of `Need`."""
        return [need for need in Need if need in self.needs - frozenset(offers)]


CASES: dict[int, Case] = {}


def case(number: int, title: str, clause: str, *needs: Need) -> Callable[[Any], Any]:
    """Register a case under its number."""

    def register(run: Callable[[Any], Awaitable[None]]) -> Any:
        if number in CASES:
            raise ValueError(f"case {number} exists twice")
        CASES[number] = Case(number, title, clause, frozenset(needs), run)
        return run

    return register


def hold(condition: object, what: str) -> None:
    """Raise `Broken` unless something holds."""
    if not condition:
        raise Broken(what)


def equal(got: object, wanted: object, what: str) -> None:
    """Raise `Broken` unless two values are equal."""
    if got != wanted:
        raise Broken(f"{what}: {got!s:.200}, not {wanted!s:.200}")


def kind_of(value: object, kind: type[T], what: str) -> T:
    """Return a value of a type, raise `Broken` for any other."""
    if not isinstance(value, kind):
        raise Broken(f"{what}: {value!s:.300}, not {kind.__name__}")
    return value

"""The one object that pages and API read from: snapshots of the market layer, made on its loop.

Pages run in threads; the market layer lives on the loop. Board snapshots are immutable and replaced
whole, so a thread just reads the newest; a coin is asked for on the loop and waited for.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import msgspec

from app.api import board, drawn, views
from engine.pipeline.profile import Profile

_T = TypeVar("_T")
_ANSWER_S = 5.0  # a page that waits longer for a coin shows its error state
Slots = Mapping[str, str]


class Source(Protocol):
    """What the face asks of the market layer (`live.service.MarketService`)."""

    @property
    def profile(self) -> Profile: ...  # noqa: D102
    @property
    def mode(self) -> str: ...  # noqa: D102
    def now_ms(self) -> int: ...  # noqa: D102
    def board(self) -> Any: ...  # noqa: D102
    def coin(self, symbol: str) -> Any: ...  # noqa: D102
    def events(self, since_ms: int = 0, limit: int = 2000) -> list[Any]: ...  # noqa: D102
    def health(self) -> Any: ...  # noqa: D102


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """What the strip shows."""

    mode: str
    note: str  # "Replay ×2,600"
    state: str  # starting, live, degraded, stopped
    data_age_s: float | None
    now: int
    symbols: int


@dataclass(frozen=True)
class Pages:
    """How the pages write what the stream carries: they put themselves in, the API knows no page.

    Attributes
    ----------
    price : callable
        ``(value, tick) -> text``.
    status : callable
        ``Status -> {key of the strip: text}``.
    faces : mapping
        Name of a page -> ``view -> {slot: markup}``.
    chart : callable
        ``Coin -> what is drawn over its candles``.
    """

    price: Callable[[float, str], str] = lambda value, tick: f"{value:.8g}"  # noqa: ARG005
    status: Callable[[Status], Mapping[str, str]] = lambda status: {}  # noqa: ARG005
    faces: Mapping[str, Callable[[Any], Slots]] = field(default_factory=dict)
    chart: Callable[[views.Coin], Mapping[str, Any]] = lambda coin: {}  # noqa: ARG005


class Queries:
    """Read models of one market layer.

    Parameters
    ----------
    source : Source
        The market layer.
    note : callable
        What the strip says of the feed, ``""`` for nothing.
    """

    def __init__(self, source: Source, *, note: Callable[[], str] = lambda: "") -> None:
        self.source = source
        self.note = note
        self.pages = Pages()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._market: views.Market | None = None
        self._key: object = None

    def bind(self, loop: asyncio.AbstractEventLoop | None) -> None:
        """Name the loop the market layer lives on; None when it has stopped."""
        self._loop = loop

    def refresh(self) -> views.Market:
        """Make the board anew where something changed since. On the loop only."""
        now = self.source.board()
        events = self.source.events(now.as_of - board.DAY_MS)
        last = events[-1].seq if events else -1
        key = (now.minute, now.as_of // 1000, len(now.rows), last, len(now.excluded))
        if self._market is None or key != self._key:
            self._market = board.market(
                now,
                events,
                self.source.profile.params,
                scan_ms=getattr(self.source, "scan_ms", None),
                scan_symbols=getattr(self.source, "scan_symbols", None),
            )
            self._key = key
        return self._market

    def _ask(self, question: Callable[[], _T]) -> _T:
        """Run a question on the market layer's loop, from whatever thread."""
        loop = self._loop
        try:
            here: asyncio.AbstractEventLoop | None = asyncio.get_running_loop()
        except RuntimeError:
            here = None
        if loop is None or loop is here or not loop.is_running():
            return question()

        async def answer() -> _T:
            return question()

        return asyncio.run_coroutine_threadsafe(answer(), loop).result(_ANSWER_S)

    def market(self) -> views.Market:
        """Return the board."""
        return self._ask(self.refresh)

    def coin(self, symbol: str) -> views.Coin | None:
        """Return a coin's page, None for a coin that is not watched."""
        return self._ask(lambda: self._coin(symbol))

    def _coin(self, symbol: str) -> views.Coin | None:
        view = self.source.coin(symbol)
        if view is None:
            return None
        return drawn.coin(
            view,
            self.source.profile.params,
            as_of=self.source.now_ms(),
            interval_ms=self.refresh().interval_ms,
        )

    def status(self) -> Status:
        """Return what the strip shows."""
        return self._ask(self._status)

    def _status(self) -> Status:
        health = self.source.health()
        return Status(
            mode=self.source.mode,
            note=self.note(),
            state=health.status,
            data_age_s=health.last_message_age_s,
            now=self.source.now_ms(),
            symbols=health.symbols,
        )

    def universe(self) -> dict[str, Any]:
        """Return every coin watched, and every coin left out with its reason."""

        def question() -> dict[str, Any]:
            now = self.source.board()
            return {
                "as_of": now.as_of,
                "eligible": sorted(row.symbol for row in now.rows),
                "excluded": {s: str(r) for s, r in sorted(now.excluded.items())},
            }

        return self._ask(question)


_current: Queries | None = None


def install(queries: Queries | None) -> None:
    """Name the process's one `Queries`: Streamlit runs its script by path and passes nothing in."""
    global _current  # noqa: PLW0603 - the one door from a page script to its process
    _current = queries


def current() -> Queries:
    """Return the process's `Queries`."""
    if _current is None:
        raise RuntimeError("no market layer is installed: the pages are served by app.api.main")
    return _current

"""Tickers and books merged as they come, and quotes made of them. No I/O, no clock of its own."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from math import isfinite

from engine.account.signal import Quote
from engine.venue.wire import BookMessage, TickerMessage
from live.market.book import BROKEN, TOO_THIN_BPS, Merge, OrderBook
from live.market.funding import Funding, next_instant
from live.market.tickers import Ticker, Tickers

STALE_MS = 5_000  # a quote older than this decides nothing
NOTIONAL_USDT = 1_000.0  # a sweep is measured for so much unless asked otherwise
_RENEW_FIRST_S, _RENEW_MAX_S = 1.0, 60.0


@dataclass(slots=True)
class _Renewal:
    """When a broken topic may be asked for again."""

    attempts: int = 0
    next_s: float = 0.0


@dataclass(slots=True)
class QuoteCounters:
    """What was seen; every irregularity is counted."""

    tickers: int = 0
    books: int = 0
    renewed: int = 0
    refused: int = 0
    merges: dict[str, int] = field(default_factory=dict)  # of books, by `Merge`


class Quotes:
    """The `MarketListener`: merges, judges, asks for anew.

    Parameters
    ----------
    monotonic_s : callable
        Seconds that never jump back.
    renew_ticker, renew_book : callable (str)
        Ask the venue for a topic anew.
    note : callable (str)
    """

    def __init__(
        self,
        monotonic_s: Callable[[], float],
        *,
        renew_ticker: Callable[[str], None],
        renew_book: Callable[[str], None],
        note: Callable[[str], None],
    ) -> None:
        self.tickers = Tickers()
        self.books: dict[str, OrderBook] = {}
        self.counters = QuoteCounters()
        self.heard_ms = 0  # the venue's clock, as heard here last
        self.heard_s = 0.0
        self.refused_topics: dict[str, str] = {}
        self._now_s = monotonic_s
        self._renew: dict[str, tuple[Callable[[str], None], dict[str, _Renewal]]] = {
            "ticker": (renew_ticker, {}),
            "book": (renew_book, {}),
        }
        self._note = note

    # ------------------------------------------------------------------ what is followed

    def follow(self, tickers: Iterable[str], books: Iterable[str]) -> None:
        """Keep these and let go of the others."""
        wanted, deep = set(tickers), set(books)
        for symbol in set(self.tickers.by_symbol) - wanted:
            self.tickers.forget(symbol)
        for symbol in set(self.books) - deep:
            del self.books[symbol]
        for symbol in deep - set(self.books):
            self.books[symbol] = OrderBook()
        for kind, kept in (("ticker", wanted), ("book", deep)):
            waiting = self._renew[kind][1]
            for symbol in set(waiting) - kept:
                del waiting[symbol]

    # ------------------------------------------------------------------ the listener

    def ticker(self, message: TickerMessage) -> None:
        """Merge a ticker message."""
        self.counters.tickers += 1
        self._heard(message.ts)
        if not self.tickers.apply(message):
            self._ask("ticker", message.data.symbol)

    def book(self, message: BookMessage) -> None:
        """Merge a book message; what breaks the book is answered by a new subscription."""
        book = self.books.get(message.data.s)
        if book is None:
            return  # still on its way when it was given up
        self.counters.books += 1
        self._heard(message.ts)
        merge = book.apply(message)
        if merge is not Merge.APPLIED:
            merges = self.counters.merges
            merges[merge.value] = merges.get(merge.value, 0) + 1
            if merge in BROKEN:
                self._ask("book", message.data.s)

    def lost(self, tickers: Iterable[str], books: Iterable[str], reason: str) -> None:
        """Believe nothing of these until their next snapshot."""
        for symbol in tickers:
            self.tickers.lose(symbol)
        for symbol in books:
            book = self.books.get(symbol)
            if book is not None:
                book.lose()
        if reason:
            self._note(f"a connection of tickers and books ended: {reason}")

    def refused(self, topic: str, reason: str) -> None:
        """Keep what the venue does not give."""
        self.counters.refused += 1
        if topic not in self.refused_topics:
            self._note(f"the venue refuses {topic} ({reason})")
        self.refused_topics[topic] = reason

    def _heard(self, ts: int) -> None:
        self.heard_s = self._now_s()
        self.heard_ms = max(self.heard_ms, ts)

    # ------------------------------------------------------------------ healing

    def _ask(self, kind: str, symbol: str) -> None:
        call, waiting = self._renew[kind]
        state = waiting.setdefault(symbol, _Renewal())
        now_s = self._now_s()
        if now_s < state.next_s:
            return
        state.next_s = now_s + min(_RENEW_MAX_S, _RENEW_FIRST_S * 2.0**state.attempts)
        state.attempts = min(state.attempts + 1, 16)
        self.counters.renewed += 1
        call(symbol)

    def heal(self) -> None:
        """Ask again for what is still broken; forget the attempts of what has been well since."""
        for kind, (_, waiting) in self._renew.items():
            for symbol, state in list(waiting.items()):
                if self._now_s() < state.next_s:
                    continue
                if self._whole(kind, symbol):
                    del waiting[symbol]
                else:
                    self._ask(kind, symbol)

    def _whole(self, kind: str, symbol: str) -> bool:
        found = self.books.get(symbol) if kind == "book" else self.tickers.by_symbol.get(symbol)
        return found is None or found.whole

    # ------------------------------------------------------------------ quotes

    def quote(self, symbol: str, now_ms: int, notional_usdt: float = 0.0) -> Quote | None:
        """Return the market of one coin, marked stale where nobody may act on it; None = unknown.

        Parameters
        ----------
        symbol : str
        now_ms : int
            The venue's clock now.
        notional_usdt : float
            The sweep is measured for it; 0 = `NOTIONAL_USDT`.
        """
        ticker = self.tickers.by_symbol.get(symbol)
        if ticker is None:
            return None
        notional = notional_usdt if notional_usdt > 0.0 else NOTIONAL_USDT
        book = self.books.get(symbol)
        best = book.best() if book is not None else (ticker.bid, ticker.ask)
        bid, ask = best if best is not None else (ticker.bid, ticker.ask)
        mid = (bid + ask) / 2.0
        usable = isfinite(mid) and isfinite(ticker.mark) and 0.0 < bid < ask
        spread_bps = (ask - bid) / mid * 1e4 if usable else TOO_THIN_BPS
        if not usable:
            sweep_bps = TOO_THIN_BPS
        else:
            sweep_bps = book.sweep_bps(notional) if book is not None else spread_bps / 2.0
        ts = ticker.ts if book is None else min(ticker.ts, book.ts)
        whole = ticker.whole and (book is None or book.whole)
        return Quote(
            ts=ts,
            bid=bid if isfinite(bid) else 0.0,
            ask=ask if isfinite(ask) else 0.0,
            mark=ticker.mark if isfinite(ticker.mark) else 0.0,
            spread_bps=spread_bps,
            sweep_bps=sweep_bps,
            notional_usdt=notional if book is not None else 0.0,
            source="book" if book is not None else "ticker",
            stale=not usable or not whole or now_ms - ts > STALE_MS,
            **_funding_fields(ticker, now_ms),
        )

    def funding(self, symbol: str, now_ms: int) -> Funding | None:
        """Return a coin's funding calendar; None where its ticker is unknown."""
        ticker = self.tickers.by_symbol.get(symbol)
        if ticker is None:
            return None
        found = _funding_fields(ticker, now_ms)
        return Funding(
            symbol=symbol,
            rate=found["funding_rate"],
            next_ms=found["next_funding_ms"],
            interval_min=found["funding_interval_min"],
        )


def _funding_fields(ticker: Ticker, now_ms: int) -> dict:
    told = ticker.next_funding_ms
    minutes = ticker.funding_interval_min
    return {
        "funding_rate": ticker.funding_rate if isfinite(ticker.funding_rate) else None,
        "next_funding_ms": next_instant(int(told) if isfinite(told) else 0, minutes, now_ms),
        "funding_interval_min": minutes,
        "turnover_24h": ticker.turnover_24h if isfinite(ticker.turnover_24h) else 0.0,
    }

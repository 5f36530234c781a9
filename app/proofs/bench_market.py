"""What the market layer costs: a ticker message, a book's change, and a second of many users."""

from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from app.proofs.bench import Figure, least
from engine.venue import wire
from live.market.interest import Interest
from live.market.quotes import Quotes

COINS, HELD, LEVELS = 500, 30, 50
_ROUNDS = 40
_ROW = {
    "lastPrice": "1.2345",
    "markPrice": "1.2346",
    "price24hPcnt": "-0.05",
    "highPrice24h": "1.4",
    "turnover24h": "99887766.55",
    "fundingRate": "0.0001",
    "nextFundingTime": "1750000000000",
    "fundingIntervalHour": "8",
    "bid1Price": "1.2345",
    "ask1Price": "1.2346",
}


def _ticker(symbol: str, kind: str, cs: int) -> bytes:
    row = _ROW if kind == "snapshot" else {"markPrice": f"1.2{cs}", "bid1Price": "1.2345"}
    data = {"symbol": symbol, **row}
    topic = wire.ticker_topic(symbol)
    return msgspec.json.encode({"topic": topic, "type": kind, "data": data, "cs": cs, "ts": cs})


def _book(symbol: str, kind: str, u: int) -> bytes:
    at = range(LEVELS) if kind == "snapshot" else (u % LEVELS, 3 * u % LEVELS)
    data = {
        "s": symbol,
        "b": [[f"{100 - i / 100:.2f}", str(1 + u % 7)] for i in at],
        "a": [[f"{100.01 + i / 100:.2f}", str(1 + u % 5)] for i in at],
        "u": u,
        "seq": u,
    }
    topic = wire.book_topic(LEVELS, symbol)
    return msgspec.json.encode({"topic": topic, "type": kind, "ts": u, "data": data, "cts": u})


def _us(work: Callable[[], object], times: int, *, rounds: int = 1) -> float:
    """Messages are news once only: they are merged in one round."""
    return least({"work": work}, rounds=rounds)["work"] / times / 1000.0


def market() -> Iterator[Figure]:
    """Measure decoding and merging together, and the work of a second by the number of users."""
    symbols = [f"S{i:03d}USDT" for i in range(COINS)]
    quotes = Quotes(lambda: 0.0, renew_ticker=_nothing, renew_book=_nothing, note=lambda _: None)
    quotes.follow(symbols, symbols[:HELD])
    for symbol in symbols:
        quotes.ticker(_typed(_ticker(symbol, "snapshot", 1)))
    for symbol in symbols[:HELD]:
        quotes.book(_typed(_book(symbol, "snapshot", 2)))
    tickers = [_ticker(s, "delta", n) for n in range(2, 2 + _ROUNDS) for s in symbols]
    books = [_book(s, "delta", n) for n in range(3, 3 + 10 * _ROUNDS) for s in symbols[:HELD]]
    cost = _us(lambda: [quotes.ticker(_typed(raw)) for raw in tickers], len(tickers))
    load = f"{COINS} coins, 10 a second each: {cost * COINS * 10 / 1e4:.1f} % of a core"
    yield Figure("ticker message", cost, "us", target=load)
    cost = _us(lambda: [quotes.book(_typed(raw)) for raw in books], len(books))
    load = f"{HELD} books, 50 a second each: {cost * HELD * 50 / 1e4:.1f} % of a core"
    yield Figure("book change", cost, "us", target=load)
    first = 0.0
    for users in (1, 100, 10_000):
        interest = Interest()
        for n in range(users):
            interest.hold(f"u{n}", symbols[:HELD] if n == 0 else [symbols[n % HELD]])
        held = interest.symbols
        cost = _us(lambda held=held: [quotes.quote(s, 2) for _ in range(50) for s in held], 50)
        first = first or cost
        yield Figure(
            f"quotes of a second, {users:,} users",
            cost,
            "us",
            reference="x one user",
            ratio=cost / first,
        )


def _nothing(_: str) -> None:
    """No venue is asked here."""


def _typed(raw: bytes) -> Any:
    return wire.decode_market(raw)

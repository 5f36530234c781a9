"""Order books and public trades: values, REST rows and stream messages, both ways."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from engine.venue.wire.fields import (
    WireError,
    as_decimal,
    as_list,
    as_row,
    encode_json,
    flag,
    integer,
    name,
    plain,
    required,
    text,
)

# ---------------------------------------------------------------------------- order book

Level = tuple[Decimal, Decimal]  # price, size; size 0 deletes


@dataclass(frozen=True, slots=True, kw_only=True)
class Book:
    """A book, or a change of one; bids fall, asks rise."""

    symbol: str
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]
    update_id: int
    seq: int = 0
    ts: int = 0
    cts: int = 0
    snapshot: bool = True
    depth: int = 0  # of the topic; 0 = by REST

    @property
    def resets(self) -> bool:
        """Tell whether it replaces what was known (a snapshot; u = 1 is a restart's)."""
        return self.snapshot or self.update_id == 1


def encode_book_result(book: Book) -> dict[str, Any]:
    """Write the result of ``market/orderbook``."""
    return _book(book) | {"ts": book.ts, "cts": book.cts}


def encode_book_push(book: Book) -> bytes:
    """Write a message of ``orderbook.{depth}.{symbol}``."""
    return encode_json(
        {
            "topic": f"orderbook.{book.depth}.{book.symbol}",
            "type": "snapshot" if book.snapshot else "delta",
            "ts": book.ts,
            "data": _book(book),
            "cts": book.cts,
        }
    )


def _book(book: Book) -> dict[str, Any]:
    return {
        "s": book.symbol,
        "b": [[plain(p), plain(q)] for p, q in book.bids],
        "a": [[plain(p), plain(q)] for p, q in book.asks],
        "u": book.update_id,
        "seq": book.seq,
    }


def read_book(result: Any) -> Book:
    """Read the result of ``market/orderbook``.

    Raises
    ------
    WireError
        No symbol, or a level that is not a price and a size.
    """
    return _read_book(as_row(result), as_row(result))


def read_book_push(body: Mapping[str, Any]) -> Book:
    """Read a message of ``orderbook.*`` (field order differs by depth: read by name)."""
    depth = text(body, "topic").split(".")[1:2]
    return _read_book(
        as_row(body.get("data")),
        body,
        snapshot=text(body, "type") != "delta",
        depth=int(depth[0]) if depth and depth[0].isdecimal() and len(depth[0]) < 6 else 0,  # noqa: PLR2004
    )


def _read_book(
    data: Mapping[str, Any], outer: Mapping[str, Any], *, snapshot: bool = True, depth: int = 0
) -> Book:
    return Book(
        symbol=name(data, "s"),
        bids=tuple(_level(x) for x in as_list(data.get("b"))),
        asks=tuple(_level(x) for x in as_list(data.get("a"))),
        update_id=integer(data, "u"),
        seq=integer(data, "seq"),
        ts=integer(outer, "ts"),
        cts=integer(outer, "cts"),
        snapshot=snapshot,
        depth=depth,
    )


def _level(value: Any) -> Level:
    pair = as_list(value)
    numbers = [as_decimal(x, "level") for x in pair[:2]]
    if len(numbers) != 2 or numbers[0] is None or numbers[1] is None:  # noqa: PLR2004 - a pair
        raise WireError("a level is not a price and a size")
    return numbers[0], numbers[1]


# ---------------------------------------------------------------------------- trades


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicTrade:
    """One trade of the market; `side` is the taker's."""

    id: str
    symbol: str
    side: str
    price: Decimal
    qty: Decimal
    time: int
    seq: int = 0
    tick_direction: str = ""
    block: bool = False
    rpi: bool = False


def encode_trade_row(trade: PublicTrade) -> dict[str, Any]:
    """Write a trade as ``market/recent-trade`` shows it."""
    return {
        "execId": trade.id,
        "symbol": trade.symbol,
        "price": plain(trade.price),
        "size": plain(trade.qty),
        "side": trade.side,
        "time": str(trade.time),
        "isBlockTrade": trade.block,
        "isRPITrade": trade.rpi,
        "seq": str(trade.seq),
    }


def encode_trades_push(symbol: str, trades: Iterable[PublicTrade], *, ts: int) -> bytes:
    """Write a message of ``publicTrade.*``; at most 1024 trades, ascending."""
    rows = [
        {
            "T": t.time,
            "s": t.symbol,
            "S": t.side,
            "v": plain(t.qty),
            "p": plain(t.price),
            "L": t.tick_direction,
            "i": t.id,
            "BT": t.block,
            "RPI": t.rpi,
            "seq": t.seq,
        }
        for t in trades
    ]
    return encode_json(
        {"topic": f"publicTrade.{symbol}", "type": "snapshot", "ts": ts, "data": rows}
    )


_TRADE_KEYS: tuple[Sequence[str], Sequence[str]] = (
    ("execId", "symbol", "side", "price", "size", "time", "isBlockTrade", "isRPITrade"),
    ("i", "s", "S", "p", "v", "T", "BT", "RPI"),
)


def read_trade(row: Any) -> PublicTrade:
    """Read a trade of REST or of the stream.

    Raises
    ------
    WireError
        No id, symbol, price or quantity, or an unreadable value.
    """
    row = as_row(row)
    key = dict(zip(_TRADE_KEYS[0], _TRADE_KEYS["i" in row], strict=True))
    return PublicTrade(
        id=name(row, key["execId"]),
        symbol=name(row, key["symbol"]),
        side=text(row, key["side"]),
        price=required(row, key["price"]),
        qty=required(row, key["size"]),
        time=integer(row, key["time"]),
        seq=integer(row, "seq"),
        tick_direction=text(row, "L"),
        block=flag(row, key["isBlockTrade"]),
        rpi=flag(row, key["isRPITrade"]),
    )

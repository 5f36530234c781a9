"""The wishes to order that are not over, as rows of the store: what a crash must not forget.

A row is written with the decision that wants the order, before anything is sent, and moves only as
`INTENT_MOVES` allows: what is over stays over, but for a late fill that the venue proves.
"""

from collections.abc import Iterable, Sequence

import msgspec

from data.records.rows import INTENT_MOVES, TERMINAL, IntentRow
from engine.account import messages as m
from engine.account.commands import AnyRecord, PlaceOrder, TradeRecord

_KEPT = 2_000  # rows that are over are remembered so long, to recognise late words
_read_order = msgspec.json.Decoder(PlaceOrder).decode
_write_order = msgspec.json.Encoder(decimal_format="string").encode


class Intents:
    """One user's intents, as of the newest decision."""

    def __init__(self, user_id: str, rows: Iterable[IntentRow] = ()) -> None:
        self.user_id = user_id
        self._rows = {row.link_id: row for row in rows}
        self._signals: dict[str, str] = {}  # trade -> signal

    def copy(self) -> "Intents":
        """Return a copy: a decision that is not committed has changed nothing."""
        other = Intents(self.user_id)
        other._rows = dict(self._rows)
        other._signals = dict(self._signals)
        return other

    def open(self) -> list[IntentRow]:
        """Return the rows that are not over."""
        return [row for row in self._rows.values() if row.state not in TERMINAL]

    def unsettled(self) -> list[IntentRow]:
        """Return the rows of which nobody knows whether the venue has the order."""
        return [row for row in self.open() if row.state != "placed"]

    def placed(self) -> list[IntentRow]:
        """Return the rows whose order the venue has, as far as is known."""
        return [row for row in self._rows.values() if row.state == "placed"]

    def get(self, link_id: str) -> IntentRow | None:
        """Return a row."""
        return self._rows.get(link_id)

    def order(self, row: IntentRow) -> PlaceOrder:
        """Return the order of a row."""
        return _read_order(row.body)

    # ------------------------------------------------------------------ moves

    def wanted(
        self, orders: Sequence[PlaceOrder], records: Sequence[AnyRecord], at_ms: int
    ) -> list[IntentRow]:
        """Return the new rows of a decision's orders."""
        for record in records:
            if isinstance(record, TradeRecord):
                self._signals[record.trade_id] = record.signal_id
        made = [self._made(order, at_ms) for order in orders if order.link_id not in self._rows]
        self._rows.update((row.link_id, row) for row in made)
        self._forget()
        return made

    def _made(self, order: PlaceOrder, at_ms: int) -> IntentRow:
        return IntentRow(
            user_id=self.user_id,
            link_id=order.link_id,
            trade_id=order.trade_id,
            signal_id=self._signals.get(order.trade_id, ""),
            symbol=order.symbol,
            leg=order.leg,
            state="new",
            body=_write_order(order),
            created_ms=at_ms,
            expires_ms=order.expires_ms,
        )

    def heard(self, message: m.Message) -> IntentRow | None:
        """Return the row that a message moves, moved; None: it moves none."""
        match message:
            case m.SentUnknown(link_id=link):
                return self._move(link, "unknown", sent_ms=message.at_ms)
            case m.Placed(link_id=link, order_id=order_id):
                return self._move(link, "placed", order_id=order_id)
            case m.NotPlaced(link_id=link, code=code):
                row = self._rows.get(link)
                if row is not None and row.state == "placed":  # and the venue has it no more
                    return self._move(link, "done")
                return self._move(link, "refused" if code else "stale", code=code)
            case m.OrderSeen(order=order):
                state = "placed" if order.is_open else "done"
                return self._move(order.order_link_id, state, order_id=order.order_id)
            case m.Executed(execution=fill) if fill.order_link_id:
                row = self._rows.get(fill.order_link_id)
                late = row is not None and row.state in ("new", "sent", "unknown")
                return self._move(fill.order_link_id, "placed", fill.order_id) if late else None
            case _:
                return None

    def _move(
        self, link: str, state: str, order_id: str = "", *, sent_ms: int = 0, code: int = 0
    ) -> IntentRow | None:
        row = self._rows.get(link)
        if row is None or row.state == state or state not in INTENT_MOVES[row.state]:
            return None
        row = msgspec.structs.replace(
            row,
            state=state,
            order_id=order_id or row.order_id,
            sent_ms=sent_ms or row.sent_ms,
            code=code or row.code,
        )
        self._rows[link] = row
        return row

    def _forget(self) -> None:
        surplus = len(self._rows) - _KEPT
        if surplus > 0:
            over = [k for k, row in self._rows.items() if row.state in TERMINAL][:surplus]
            for link in over:
                del self._rows[link]

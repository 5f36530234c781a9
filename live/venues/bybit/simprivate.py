"""The simulated venue's private stream (/v5/private), without its socket."""

from collections.abc import Mapping
from typing import Any

from engine.venue import wire
from live.venues.bybit.simauth import Denied
from live.venues.bybit.simdesk import Desk, Message
from live.venues.bybit.simfaults import CHILD, FILLED, MOMENT, PUSH
from live.venues.bybit.simsession import Origin, Session

_LATE_MS = 1_000
_CHILDREN = frozenset({"TakeProfit", "StopLoss", "PartialTakeProfit", "PartialStopLoss"})
_KINDS = ("execution.fast", "execution", "order", "position")


class PrivateSession(Session):
    """One connection of a user: auth, topics, pings, and what the venue pushes."""

    stream = "private"

    def __init__(self, desk: Desk, origin: Origin, wall_ms: int) -> None:
        super().__init__(desk, origin, wall_ms)
        self.topics: dict[str, str] = {}  # subscribed name -> all-in-one name

    # ------------------------------------------------------------------ requests

    def answer(self, raw: str | bytes) -> None:
        """Answer one frame."""
        try:
            request = wire.decode_request(raw)
        except wire.WireError:
            self._reply("", success=False, text="Request not authorized")
            return
        op = request.op[:50]
        if op == "ping":
            pong = wire.encode_private_pong(
                self.told(), req_id=request.req_id, conn_id=self.conn_id
            )
            self.send(pong, pong=True)
        elif op == "auth":
            self._auth(request)
        elif op in ("subscribe", "unsubscribe"):
            self._topics(request)
        else:
            self._reply(op, success=False, text=f"unknown op {op}", req_id=request.req_id)

    def _reply(
        self, op: str, *, success: bool, text: str = "", req_id: str | int | None = None
    ) -> None:
        frame = wire.encode_private_reply(
            op, success=success, ret_msg=text, req_id=req_id, conn_id=self.conn_id
        )
        self.send(frame)

    def _auth(self, request: wire.Request) -> None:
        if self.caller is not None:
            self._reply("auth", success=False, text="Repeat auth", req_id=request.req_id)
            return
        caller = self.keys.check_stream(request.args, self.wall_ms, ip=self.origin.ip)
        if not isinstance(caller, Denied):
            self.admit(caller)
            if self.draw(frozenset({"refuse_auth"})) is not None:
                self.caller = None
                caller = Denied(10004, "Params Error")
        if isinstance(caller, Denied):
            self._reply("auth", success=False, text=caller.message, req_id=request.req_id)
            return
        self.desk.listen(caller.key.uid, self)
        self._reply("auth", success=True, req_id=request.req_id)

    def _topics(self, request: wire.Request) -> None:
        op = request.op
        if self.caller is None:
            self._reply(op, success=False, text="Request not authorized", req_id=request.req_id)
            return
        topics = wire.read_topics(request)
        if isinstance(topics, wire.BadRequest):
            self._reply(op, success=False, text=topics.message, req_id=request.req_id)
            return
        if op == "unsubscribe":
            for topic in topics:
                self.topics.pop(topic, None)
            self._reply(op, success=True, req_id=request.req_id)
            return
        refusal = wire.check_private_topics(topics)[:300]
        if not refusal and self.draw(frozenset({"refuse_subscribe"})) is not None:
            refusal = f"Invalid topic: {topics[0]}"
        if not refusal:
            self.topics.update((topic, _plain(topic)) for topic in topics)
        self._reply(op, success=not refusal, text=refusal, req_id=request.req_id)

    # ------------------------------------------------------------------ pushes

    def deliver(self, messages: list[Message]) -> None:
        """Take what one moment brought."""
        if self.caller is None or self.ending or self.stalled:
            return
        told = [
            (name, message)
            for message in messages
            for name, kind in self.topics.items()
            if kind == message.topic
        ]
        if not told:
            return
        faulty = self.desk.faults.waiting > 0
        if faulty and len(told) > 1 and self.draw(MOMENT) is not None:
            told = [told[i] for i in self.desk.shuffled(len(told))]
        for name, message in told:
            if faulty and self.hurt(message.topic):
                return
            self._push(name, message, faulty=faulty)

    def _push(self, name: str, message: Message, *, faulty: bool) -> None:
        if self.caller is None:
            return
        frame = message.encode(name, self.caller.key.uid)
        fault = self.draw(PUSH, topic=message.topic) if faulty else None
        kind = "" if fault is None else fault.kind
        if kind == "push_drop":
            return
        if faulty and fault is None and self._children_late(name, message):
            return
        if kind == "push_malformed":
            self.send(frame[: len(frame) // 2])
        if fault is not None and kind == "push_late":
            self.send(frame, delay_ms=fault.ms or _LATE_MS)
            return
        self.send(frame)
        if kind == "push_duplicate":
            self.send(frame)
        if faulty:
            self._fill_twice(name, message)

    def _children_late(self, name: str, message: Message) -> bool:
        """Tell the stops of an order later than the rest; False: there is nothing to tell so."""
        new = [r for r in message.rows if _is_new_child(r)]
        if self.caller is None or not new:
            return False
        fault = self.draw(CHILD, topic=message.topic)
        if fault is None:
            return False
        late_ms = fault.ms or _LATE_MS
        for rows, delay_ms in (([r for r in message.rows if r not in new], 0), (new, late_ms)):
            if rows:
                part = Message(message.topic, tuple(rows), message.time, message.number)
                self.send(part.encode(name, self.caller.key.uid), delay_ms=delay_ms)
        known_ms = self.desk.now_ms + late_ms
        self.desk.unlisted.update((row["orderId"], known_ms) for row in new)
        return True

    def _fill_twice(self, name: str, message: Message) -> None:
        """Tell a fill again as the venue does when a cancel came too late for it."""
        filled = [row for row in message.rows if row.get("orderStatus") == "Filled"]
        if self.caller is None or not filled or self.draw(FILLED, topic=message.topic) is None:
            return
        said = {"cancelType": "CancelByUser", "rejectReason": "EC_OrigClOrdIDDoesNotExist"}
        again = Message(
            message.topic, tuple(row | said for row in filled), message.time, message.number
        )
        self.send(again.encode(name, self.caller.key.uid))

    def leave(self) -> None:
        """Forget the connection."""
        super().leave()
        if self.caller is not None:
            self.desk.leave(self.caller.key.uid, self)


def _is_new_child(row: Mapping[str, Any]) -> bool:
    return row.get("orderStatus") == "Untriggered" and row.get("stopOrderType") in _CHILDREN


def _plain(topic: str) -> str:
    """Return the all-in-one name of a topic; another product's categorised one hears nothing."""
    for kind in _KINDS:
        if topic in (kind, f"{kind}.linear"):
            return kind
    return topic

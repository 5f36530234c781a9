"""A connection of the simulated public stream inside the process."""

from live.venues.bybit.simfloor import Floor
from live.venues.bybit.simsession import Origin, Session
from live.venues.bybit.simtopics import Feed


class PublicSession(Session):
    """One client of the public stream: a `Listener` of the floor whose frames are taken out."""

    stream = "public"

    def __init__(self, floor: Floor, origin: Origin, wall_ms: int) -> None:
        super().__init__(floor.desk, origin, wall_ms)
        self.floor = floor
        self.topics: dict[str, str] = {}
        self.by_symbol: dict[str, str] = {}
        self.feeds: dict[str, Feed] = {}
        self.number = origin.number
        floor.listeners[self.number] = self

    @property
    def listens(self) -> bool:
        """Tell whether anything more goes out to it."""
        return not self.ending

    def answer(self, raw: str | bytes) -> None:
        """Answer one frame."""
        reply, wanted = self.floor.answer(self, raw)
        # A stalled connection acknowledges, answers pings, and tells nothing.
        self.send(reply, pong=True)
        for topic, made in wanted.items():
            self.floor.begin(self, topic, made)

    def put(self, frame: bytes) -> None:
        """Queue a push; a fault may strike the connection instead."""
        if self.desk.faults.waiting and self.hurt(_topic(frame)):
            return
        self.send(frame)

    def end(self) -> None:
        """End it with a close frame."""
        self.ending = self.ending or "close"
        self.wake()

    def abort(self) -> None:
        """Cut it off."""
        self.ending = "abort"
        self.wake()

    def leave(self) -> None:
        """Forget the connection."""
        super().leave()
        self.floor.leave(self)


def _topic(frame: bytes) -> str:
    head = frame.find(b'"topic":"')
    return (
        frame[head + 9 : frame.find(b'"', head + 9)].decode(errors="replace") if head >= 0 else ""
    )

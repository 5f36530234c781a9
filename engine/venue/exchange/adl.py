"""The deleveraging queue: how near each holder of one side of a symbol stands to its front.

A holder's score is its profit in units of its entry value, times its leverage; a loss is divided by
it. The rank (1 to 5) is the fifth of the queue it stands in, by the share of holders that score
less: 5 goes first, whoever is alone has 1. Scores are a function of mark and position alone, so the
queue kept here is always what working it out anew would give.
"""

from bisect import bisect_left, insort
from dataclasses import dataclass, field
from decimal import Decimal

from engine.venue.exchange.records import ZERO, Account, Position
from engine.venue.words import Side

FIFTHS = 5
Key = tuple[int, int]  # uid, position index
Holders = dict[Key, tuple[Account, Position]]


@dataclass(slots=True)
class Queue:
    """The scores of a symbol's holders at one mark, by side, lowest first."""

    mark: Decimal
    scores: dict[Side, list[Decimal]] = field(default_factory=lambda: {side: [] for side in Side})
    of: dict[Key, tuple[Side, Decimal]] = field(default_factory=dict)

    def place(self, key: Key, position: Position) -> None:
        """Take in what a position is now; a flat one leaves."""
        before = self.of.pop(key, None)
        if before is not None:
            line = self.scores[before[0]]
            del line[bisect_left(line, before[1])]
        if position.side is not None:
            score = score_of(position, self.mark)
            self.of[key] = (position.side, score)
            insort(self.scores[position.side], score)

    def rank(self, position: Position) -> int:
        """Return a position's rank, 0 of a flat one."""
        if position.side is None:
            return 0
        line = self.scores[position.side]
        lower = bisect_left(line, score_of(position, self.mark))
        return min(1 + FIFTHS * lower // max(len(line), 1), FIFTHS)


def line_up(holders: Holders, mark: Decimal) -> Queue:
    """Return the queue of a symbol's holders."""
    queue = Queue(mark)
    for key, (_, position) in holders.items():
        if position.side is not None:
            queue.of[key] = (position.side, score_of(position, mark))
    for side, score in queue.of.values():
        queue.scores[side].append(score)
    for line in queue.scores.values():
        line.sort()
    return queue


def score_of(position: Position, mark: Decimal) -> Decimal:
    """Return what the queue is sorted by."""
    if position.side is None:
        return ZERO
    gain = (mark - position.entry_price) * position.side.sign / position.entry_price
    return gain * position.leverage if gain > 0 else gain / position.leverage

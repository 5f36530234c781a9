"""What the market layer says of a coin's closed bars."""

from types import SimpleNamespace
from typing import Any

import numpy as np

from live.market.answers import Answers
from live.market.collate import Collator
from live.market.frames import Frames

STEP = 60_000


def test_closed_bars_begin_where_asked_and_are_none_while_the_service_recovers():
    collator, frames = Collator(STEP), Frames(8, 2)
    row = collator.row("AUSDT")
    collator.row("BUSDT")
    for k in range(12):
        bar = np.array([[10.0 + k, 12.0 + k, 9.0 + k, 11.0 + k, 5.0, 50.0]])
        frames.append(np.array([row]), np.array([STEP * (k + 1)]), bar)
    service: Any = SimpleNamespace(
        collator=collator, scanner=SimpleNamespace(frames=frames), status="live"
    )

    def asked(symbol: str, from_ms: int, interval_ms: int = STEP) -> list[Any]:
        return Answers.closed_bars(service, symbol, interval_ms, from_ms)

    assert asked("AUSDT", STEP * 11) == [
        (STEP * 11, 20.0, 22.0, 19.0, 21.0), (STEP * 12, 21.0, 23.0, 20.0, 22.0)
    ]  # fmt: skip
    assert len(asked("AUSDT", 0)) == 8
    assert asked("AUSDT", STEP * 12 + 1) == []
    assert asked("AUSDT", 0, 300_000) == asked("BUSDT", 0) == asked("XUSDT", 0) == []
    service.status = "starting"
    assert asked("AUSDT", 0) == []

"""Component 2, the one chart: candles, zones, level lines, the ribbon of phases, markers; live."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import streamlit as st

from app.api import assets
from app.api.views import Coin
from app.dashboard import format as f
from app.dashboard import words

_TONES = {"support": "up", "resistance": "accent", "level": "accent", "invalidation": "down"}
_MARKS = {
    "BREAKOUT": ("belowBar", "arrowUp", "up", ""),
    "REJECTED": ("aboveBar", "circle", "muted", ""),
    "FAILED": ("aboveBar", "arrowDown", "down", ""),
}
_FUTURE_BARS = 14  # room at the right, where the newest labels stand


@cache
def _js() -> str:
    return Path(__file__).with_name("chart.js").read_text(encoding="utf-8")


@st.cache_resource
def _component():
    return st.components.v2.component(
        "zion_chart", html='<div class="zchart"></div>', js=_js(), isolate_styles=False
    )


def _zone_text(zone: Any, tick: str) -> str:
    if not zone.newest:
        return ""
    touches = f" · {f.count(zone.touches, 'touch', 'touches')}" if zone.touches else ""
    if zone.kind == "support":
        return f"Support {f.price((zone.lo + zone.hi) / 2, tick)}{touches}"
    score = f" · score {f.number(zone.score)}" if zone.score is not None else ""
    return f"Resistance {f.price(zone.hi, tick)}{score}{touches}"


def overlay(coin: Coin) -> Mapping[str, Any]:
    """Return what is drawn over the candles; times in seconds, as the chart library counts."""
    return {
        "zones": [
            {
                "from": z.start // 1000, "to": z.end // 1000, "lo": z.lo, "hi": z.hi,
                "tone": _TONES[z.kind], "alpha": 0.17 if z.newest else 0.07,
                "below": z.kind == "support", "text": _zone_text(z, coin.tick),
            }
            for z in coin.zones
        ],
        "lines": [
            {
                "from": x.start // 1000, "to": x.end // 1000, "price": x.price,
                "tone": _TONES[x.kind], "dash": x.kind == "invalidation",
                "text": f"Invalid under {f.price(x.price, coin.tick)}"
                if x.kind == "invalidation" and x.newest else "",
            }
            for x in coin.lines
        ],
        "phases": [
            {
                "from": s.start // 1000, "to": s.end // 1000,
                "n": s.phase, "name": words.phase_name(s.phase),
            }
            for s in coin.ribbon
        ],
        "marks": [
            {
                "time": m.t // 1000,
                **dict(zip(("at", "shape", "tone", "text"), _MARKS[m.kind], strict=True)),
            }
            for m in coin.marks
        ],
    }  # fmt: skip


def chart(coin: Coin, key: str) -> None:
    """Draw a coin. The visible range survives reruns and changes of theme."""
    digits = f.price_digits(coin.card.close, coin.tick)
    data = {
        "symbol": coin.symbol,
        "interval": coin.interval,
        "step": coin.interval_ms // 1000,
        "digits": digits,
        "bars": [[int(t) // 1000, o, h, lo, c, v] for t, o, h, lo, c, v in coin.bars],
        "overlay": dict(overlay(coin)),
        "future": _FUTURE_BARS,
        "live": assets.url("live.js"),
        "library": assets.url("lightweight-charts.mjs"),
    }
    _component()(data=data, key=key, height="content")

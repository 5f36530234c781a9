"""What every figure is made of: plain plotly pieces, colours as tokens (`@up`, `@down/0.2`)."""

import base64
from typing import Any

import numpy as np

Figure = dict[str, Any]


def packed(values: Any, kind: str = "f4") -> dict[str, str]:
    """Return an array as plotly's typed base64: a third of its text."""
    array = np.ascontiguousarray(values, dtype=f"<{kind}")
    return {"dtype": kind, "bdata": base64.b64encode(array.tobytes()).decode()}


def times(ts: Any) -> dict[str, str]:
    """Return ms as float64: a date axis reads them as they are."""
    return packed(np.asarray(ts, np.float64), "f8")


def figure(data: list[Any], layout: dict[str, Any], height: int = 300) -> Figure:
    """Return one figure; the page adds what all share."""
    return {"data": data, "layout": {"height": height, **layout}}


def axis(title: str, **more: Any) -> dict[str, Any]:
    """Return an axis with a title."""
    return {"title": {"text": title}, **more}


def zero_line(axis: str = "y", at: float = 0.0) -> dict[str, Any]:
    """Return the line at a value, across the whole picture."""
    line = {"type": "line", "line": {"color": "@muted", "width": 1}}
    if axis == "y":
        return {**line, "xref": "paper", "x0": 0, "x1": 1, "y0": at, "y1": at}
    return {**line, "yref": "paper", "y0": 0, "y1": 1, "x0": at, "x1": at}


def note(text: str, **where: Any) -> dict[str, Any]:
    """Return a text in the picture."""
    base = {"text": text, "showarrow": False, "font": {"color": "@muted", "size": 11}}
    return {**base, **where}


def corner(text: str) -> dict[str, Any]:
    """Return a text over the upper right corner."""
    return note(text, xref="paper", yref="paper", x=1, y=1.0, xanchor="right", yanchor="bottom")

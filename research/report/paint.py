"""The report's figures outside of the report: tokens filled in, as plotly objects."""

from typing import Any

LIGHT = {
    "surface": "255,255,255",
    "raised": "240,242,246",
    "line": "221,225,233",
    "text": "23,27,36",
    "muted": "86,96,116",
    "accent": "61,83,217",
    "up": "0,110,138",
    "down": "194,65,12",
    "warn": "138,90,0",
    "p2": "95,106,148",
    "p4": "76,95,192",
    "p5": "61,83,217",
    "p6": "42,61,184",
}


def painted(value: Any) -> Any:
    """Return a figure's description with every colour token in the light theme's colour."""
    if isinstance(value, str) and value.startswith("@"):
        name, _, alpha = value[1:].partition("/")
        return f"rgba({LIGHT[name]},{alpha or 1})" if name in LIGHT else value
    if isinstance(value, dict):
        return {k: painted(v) for k, v in value.items()}
    if isinstance(value, list):
        return [painted(v) for v in value]
    return value


def show(figure: dict[str, Any]) -> Any:
    """Return a figure of `plots` or `charts` as a plotly Figure: a notebook displays it."""
    import plotly.graph_objects as go

    drawn = go.Figure(painted(figure))
    return drawn.update_layout(template="plotly_white", margin={"l": 60, "r": 60, "t": 40, "b": 40})

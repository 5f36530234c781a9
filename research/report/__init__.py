"""One self-contained page about a backtest: opens offline, dark and light."""

from research.report.page import render

__all__ = ["render"]

"""Questions to history: backtest, levels, report."""

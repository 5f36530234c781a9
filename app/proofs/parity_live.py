"""One lake through the backtest and through the live service: the same trades and money."""

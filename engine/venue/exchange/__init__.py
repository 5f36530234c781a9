"""Bybit (linear USDT perpetuals) as a pure machine: commands and facts in, events out."""

"""Bybit V5."""

"""Bybit V5: clients of its public interfaces, and a simulator that speaks like it."""

"""Equity and trades -> numbers: each with unit, definition, NaN rule and interval."""

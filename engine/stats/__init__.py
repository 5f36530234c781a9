"""Equity and trades -> numbers: each with its unit, its definition, its NaN rule and an interval."""

"""Notebooks as diffable text (py:percent); `execute` runs them."""

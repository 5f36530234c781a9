"""Relational records: users, settings, intents, executions, trades, audit. One port."""

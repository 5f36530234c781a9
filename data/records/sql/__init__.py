"""The statements, one set for both databases: plain functions over a connection in a transaction.

Whoever calls them begins, commits and retries (`data.records.sqlite`, `data.records.postgres`).
Rows go out as the values of `rows.py`.
"""

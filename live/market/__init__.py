"""Phases 1 to 6 over the live stream: once, for all users."""

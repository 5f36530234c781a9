"""Shared by all users, once."""

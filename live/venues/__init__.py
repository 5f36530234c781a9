"""Venues behind ports: what differs between exchanges stays in here."""

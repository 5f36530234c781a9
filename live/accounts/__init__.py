"""Per user."""

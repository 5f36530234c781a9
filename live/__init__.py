"""The live wing: one shared market, many accounts, venues behind ports."""

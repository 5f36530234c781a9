<<<<<<< HEAD
"""What acts: the shared market layer."""
=======
"""The live wing: one shared market, many accounts, venues behind ports."""
>>>>>>> refs/heads/live

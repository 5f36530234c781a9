"""May this entry be made, and how large: verdicts with a reason a person can read."""

"""What acts: the shared market layer."""

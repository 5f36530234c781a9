"""The venue as a pure machine: instruments, costs, margin and the wire codec."""

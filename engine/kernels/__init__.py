"""Numerical kernels: numpy arrays and numba only."""

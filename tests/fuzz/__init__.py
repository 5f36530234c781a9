"""Mutated frames and bodies against the codec and the simulator: `make fuzz N=1000000`."""

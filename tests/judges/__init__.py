"""Independent clients trade on the simulator: `make judges`."""

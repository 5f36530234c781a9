"""What needs research and live together: parity, bench, the demo."""

"""Simulation testing of the live accounts layer: seeded worlds, faults, a judge, planted bugs."""

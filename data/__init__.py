"""Things at rest: the lake, its quality, its sources, and profiles."""

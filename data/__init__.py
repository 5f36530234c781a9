"""Things at rest: the lake, its quality, profiles."""

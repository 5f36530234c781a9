<<<<<<< HEAD
"""Things at rest: the lake, its quality, its sources, and profiles."""
=======
"""Things at rest: the lake, its quality, profiles."""
>>>>>>> main

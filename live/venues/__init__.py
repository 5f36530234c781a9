<<<<<<< HEAD
"""Exchanges behind one port."""
=======
"""Venues behind ports: what differs between exchanges stays in here."""
>>>>>>> refs/heads/live

"""How long a start takes after kill -9 with a thousand users and hundreds of positions."""

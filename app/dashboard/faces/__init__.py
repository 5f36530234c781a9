"""The pages: one file each, `slots` (pure, for the live socket) and `show`."""

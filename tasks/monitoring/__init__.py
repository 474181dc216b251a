"""Watching the model in use: what changed against the reference, what its figures are now, and what to do about it."""

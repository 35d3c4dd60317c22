"""A run's folder: every name on disk, who holds it, what may not lie in it."""

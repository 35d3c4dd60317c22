"""Which nodes find the run folder, and how files come back from those that do not."""

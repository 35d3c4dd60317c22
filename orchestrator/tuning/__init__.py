"""A study as Ray Tune runs it."""

"""Several objectives at once: which trials are better than others, as pure functions of numbers."""

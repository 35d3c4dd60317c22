"""A trial's life in its worker process."""

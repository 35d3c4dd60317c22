"""One driver's work on one run."""

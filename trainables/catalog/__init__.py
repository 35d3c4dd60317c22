"""Lists the families and their parameters without a framework."""

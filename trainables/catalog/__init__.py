"""The families and their parameters, written out without a framework."""

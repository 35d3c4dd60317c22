"""Formats of other runtimes: converted from a SavedModel, each verified by its runtime in a process of its own."""

"""Formats of runtimes other than TensorFlow: converted from a SavedModel, verified by their runtime in its own process."""

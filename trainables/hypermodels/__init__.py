"""Keras Tuner's hypermodels: what their `build(hp)` asks for is found by calling it, and answered from a variant."""

"""Ensembles of a run's checkpoints: which ones there are, what they predict, what becomes of them as one model."""

"""Tensors of a split and the order of an epoch's batches."""

"""Trials that are trained once more, up to an epoch whose checkpoint is lost: bit for bit, or not at all."""

"""Finished models: selected, written, verified against their checkpoints, and described by a manifest."""

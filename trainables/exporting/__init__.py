"""A finished model: loaded from its checkpoint, written in each format, verified."""

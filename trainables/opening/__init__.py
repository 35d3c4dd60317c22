"""A finished model loaded to predict with, from whichever of its formats."""

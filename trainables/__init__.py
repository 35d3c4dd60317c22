"""How one variant is trained: Keras families, data, compiled epochs, checkpoints; usable without Ray."""

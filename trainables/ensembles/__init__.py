"""Several checkpoints as one model: what is asked of workers, how predictions are scored, which ones vote."""

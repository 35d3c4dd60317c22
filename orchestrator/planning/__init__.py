"""What other rules would have made of a run: its trials, simulated without training."""

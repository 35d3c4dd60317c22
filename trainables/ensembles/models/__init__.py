"""What of an ensemble needs TensorFlow: predictions of checkpoints, averages of weights, one model of many."""

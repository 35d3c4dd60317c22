"""The parts of one training step: losses, metrics, optimizers, schedules, micro-batches, replicas."""

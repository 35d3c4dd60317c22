"""What happens in one training step: losses, metrics, optimizers, schedules, micro-batches, replicas."""

"""A run's copy in cloud storage or a network folder."""

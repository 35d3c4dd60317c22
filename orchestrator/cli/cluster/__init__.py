"""Commands that work on a cluster: launch, jobs."""

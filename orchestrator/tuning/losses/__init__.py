"""Losses of workers: which reports are late, and why workers died, in words; no Ray."""

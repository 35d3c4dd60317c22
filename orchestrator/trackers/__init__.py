"""Sends what a run's journal says to trackers that people look at already."""

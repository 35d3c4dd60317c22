"""Losses, metrics and callbacks of a user's, from modules beside the study file."""

"""Single keys of a study file."""

"""A study file, read, checked and explained."""

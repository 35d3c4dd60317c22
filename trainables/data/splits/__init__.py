"""Draws the rows of each split: by class shares, by whole groups, by time, or by folds."""

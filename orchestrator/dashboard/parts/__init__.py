"""What the pages of the dashboard have in common: frame, live updates, grids, figures, steering."""

"""What proposals rest on: earlier trials, and a search space as points and as Optuna sees it."""

"""How right predictions are: shares with intervals, confusions, calibration, errors of numbers; NumPy alone."""

"""The settings of a training as plain data, checked."""

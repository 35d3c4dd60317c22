"""Worker processes of a local Ray as forks of one process that has imported TensorFlow already."""

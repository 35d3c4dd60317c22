"""The folder in which Keras keeps its downloads and settings; no TensorFlow."""

import os
from pathlib import Path


def keras_home() -> Path:
    """Returns the environment's KERAS_HOME, else `~/.keras`."""
    return Path(os.environ.get("KERAS_HOME") or "~/.keras").expanduser()

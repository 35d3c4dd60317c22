"""Imported by each worker process of a local Ray as it starts: brings TensorFlow in before there is a trial."""

import time

from trainables.importing import import_tensorflow

#: When the import began and ended, as `time.monotonic` tells.
BEGAN = time.monotonic()
import_tensorflow()
ENDED = time.monotonic()

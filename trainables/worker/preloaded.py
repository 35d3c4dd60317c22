"""Imported by each worker process of a local Ray as it starts: brings in, before there is a trial, what trials need."""

import logging
import time

from trainables.machine.imports import import_tensorflow

logger = logging.getLogger(__name__)

#: When the import of TensorFlow began and ended, as `time.monotonic` tells.
BEGAN = time.monotonic()
try:
    import trainables.worker.adapter  # noqa: F401 - brings Ray Tune in, which is part of a worker's start

    BEGAN = time.monotonic()
    import_tensorflow()
except Exception:
    # A process that ended here could not tell why; the first step of a trial imports again and can.
    logger.exception("decision=wait-for-trial")
ENDED = time.monotonic()

"""Imports what trials need into a worker process of a local Ray, as Ray starts the process and before its trial."""

import logging
import time

from trainables.machine.imports import import_tensorflow, quick_imports

logger = logging.getLogger(__name__)

#: When the import of TensorFlow began and ended, by `time.monotonic`.
BEGAN = time.monotonic()
try:
    with quick_imports():
        import trainables.worker.adapter  # noqa: F401 - brings Ray Tune in, which is part of a worker's start

    BEGAN = time.monotonic()
    import_tensorflow()
except Exception:
    # A process that ended during this import could not report why; the first step of a trial imports again and can.
    logger.exception("decision=wait-for-trial")
ENDED = time.monotonic()

"""Removes files that TensorFlow leaves behind in a process that is ended, as a worker of Ray is."""

import sys
from contextlib import suppress
from pathlib import Path

#: What tensorflow/python/autograph/pyct/loader.py, TensorFlow 2.21, calls its modules and their files.
_PREFIX = "__autograph_generated_file"


class GeneratedCode:
    """The files of functions that AutoGraph has rewritten in this process, two of them for SavedModels.

    AutoGraph has them in the folder of temporary files until Python ends, which in a process that a signal ends never
    comes. The functions stay: a file is read once.
    """

    def __init__(self) -> None:
        self._num_modules = 0

    def remove(self) -> None:
        """Removes the files that there are by now; next to no work where no module has come since the last call."""
        if len(sys.modules) == self._num_modules:
            return
        self._num_modules = len(sys.modules)
        for module in [module for name, module in list(sys.modules.items()) if name.startswith(_PREFIX)]:
            for path in filter(None, (getattr(module, "__file__", None), getattr(module, "__cached__", None))):
                # Nobody's work fails for a file that is in nobody's way.
                with suppress(OSError):
                    Path(path).unlink()

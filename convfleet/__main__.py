"""The command `convfleet`, also started as `python -m convfleet`."""

import atexit
import logging
import os
import sys
from typing import NoReturn


class _Ending:
    """Ends the process without taking down, object by object, all that it imported, which takes up to half a second.

    For a process that does nothing else.

    Attributes:
        code: The exit code; None: Python ends the process.
    """

    code: int | None = None

    def leave(self) -> None:
        """Ends the process at once where its output is out."""
        if self.code is None:
            return
        logging.shutdown()
        try:
            for stream in filter(None, (sys.stdout, sys.stderr)):
                stream.flush()
        except (OSError, ValueError):
            # Python says what became of it.
            return
        os._exit(self.code)


def main() -> NoReturn:
    """Runs the command line; the console script `convfleet`."""
    ending = _Ending()
    # Registered before the command's libraries register theirs, and so called after those.
    atexit.register(ending.leave)
    from orchestrator.forking.ahead import import_with_command

    try:
        with import_with_command(sys.argv[1:]):
            from orchestrator.cli.app import main as run_command

            run_command()
    except SystemExit as exc:
        if exc.code is None or isinstance(exc.code, int):
            ending.code = exc.code or 0
        raise


if __name__ == "__main__":
    main()

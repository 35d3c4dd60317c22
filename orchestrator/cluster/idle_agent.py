"""A process in the place of a node's agent, which Ray's daemon wants to have at its side: it waits for that one's end.

Run as a file, without any package.
"""

import os
import time

#: How often it looks.
_SECONDS = 1.0


def main() -> None:
    """Waits until the process that started this one is gone."""
    parent = os.getppid()
    while os.getppid() == parent:
        time.sleep(_SECONDS)


if __name__ == "__main__":
    main()

"""Keeps other cores busy for a while, as the other trials of a study would."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

#: Computes until its parent is gone: the parent may die without ending it.
_CODE = """
import hashlib, os
parent, numbers = os.getppid(), bytes(65536)
while os.getppid() == parent:
    for _ in range(1000):
        hashlib.sha256(numbers).digest()
"""


@contextmanager
def busy_beside(count: int) -> Iterator[None]:
    """Runs processes that compute for nothing, each on one core, until it is left.

    Args:
        count: How many; 0: none.
    """
    others = [subprocess.Popen([sys.executable, "-P", "-c", _CODE]) for _ in range(count)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
        for other in others:
            other.wait()

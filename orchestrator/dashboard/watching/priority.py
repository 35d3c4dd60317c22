"""The dashboard stands behind studies: cores that workers want go to them first; what it starts is not set back."""

import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

#: Linux gives such a thread a tenth of what a worker gets, where both want the same core.
LOW_PRIORITY = 10
_AUTOGROUP = Path("/proc/self/autogroup")
#: Its one thread keeps the priority that it began with: a process has that of the thread which starts it.
_starter = ThreadPoolExecutor(1, thread_name_prefix="start commands")


def step_back() -> None:
    """Lowers the priority of this thread, and of those that it begins from now on; not of what `start` starts."""
    if not sys.platform.startswith("linux"):
        # Elsewhere it is the whole process's, also that of a study which a page begins.
        return
    _starter.submit(threading.get_native_id).result()
    with suppress(OSError):
        own = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), max(own, LOW_PRIORITY))
    if os.getsid(0) == os.getpid():
        # Where the kernel shares cores among sessions first, the priorities of two sessions' threads do not meet.
        with suppress(OSError):
            _AUTOGROUP.write_text(str(LOW_PRIORITY))


def start(command: Sequence[str], **options: Any) -> "subprocess.Popen[bytes]":
    """Starts a process with the priority that this one had before `step_back`.

    Args:
        command: Its words.
        options: Of `subprocess.Popen`.
    """
    return _starter.submit(lambda: subprocess.Popen(command, **options)).result()

"""Keeps the memory on which a thread's signal handlers run, which OpenVINO exchanges for its own."""

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager

#: Linux's `SS_DISABLE`.
_DISABLED = 2


class _Stack(ctypes.Structure):
    """Linux's `stack_t`."""

    _fields_ = (("address", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t))


@contextmanager
def kept_signal_stack() -> Iterator[None]:
    """Lets this thread's signal handlers run where they ran before, whatever is done meanwhile.

    OpenVINO's CPU plugin sets memory of its own as it is loaded and gives it back as it goes. If two go first come,
    first gone, the second puts the first one's memory back, which is gone: the next signal, such as Ctrl-C, ends the
    process. One whose memory is not set any more puts nothing back.
    """
    if sys.platform != "linux":
        yield
        return
    library, before = ctypes.CDLL(None, use_errno=True), _Stack()
    library.sigaltstack(None, ctypes.byref(before))
    try:
        yield
    finally:
        # The kernel says of one that is in use that it is; it can be told only that one is away.
        before.flags &= _DISABLED
        library.sigaltstack(ctypes.byref(before), None)

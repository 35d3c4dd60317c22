#!/usr/bin/env bash
# Two models of OpenVINO that go in the order in which they came leave the thread a signal stack in memory that is gone.
#
# One would guess: to compile a model and to drop it changes nothing of the process but its memory.
# What happens: as it is loaded, the CPU plugin of each `Core` sets memory of its own for the thread's signal handlers
# (`sigaltstack`), and sets back what it found as it goes. Of two that go first come, first gone, the second sets back the
# first one's memory, which was given back before. Python runs all its handlers there: what ended with a segmentation
# fault here was a process of tests, at the next Ctrl-C.
# Who is hurt: a server that replaces one model by the next, or a notebook that converted two, when it is interrupted.
# Ours: trainables/machine/signal_stack.py keeps the thread's own around all that loads the plugin.
# This script looks at the address alone, and sends no signal.
set -euo pipefail
source "$(dirname "$0")/_setup.sh"
fresh_venv openvino==2026.4.1 numpy==2.4.6
quietly python - <<'PYTHON'
import ctypes
import gc
import sys

import numpy as np
import openvino
from openvino import opset13 as ops


class Stack(ctypes.Structure):
    _fields_ = [("address", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t)]


def stack() -> str:
    """Says where handlers of signals run, and whether there is memory."""
    found = Stack()
    ctypes.CDLL(None).sigaltstack(None, ctypes.byref(found))
    if not found.address:
        return "none of its own"
    for line in open("/proc/self/maps"):
        first, last = (int(text, 16) for text in line.split()[0].split("-"))
        if first <= found.address < last:
            return f"{found.size:,} bytes of memory"
    return f"{found.size:,} bytes where no memory is"


def compiled():
    given = ops.parameter([1, 4], np.float32)
    return openvino.Core().compile_model(openvino.Model([ops.relu(given)], [given], "m"), "CPU")


print("before:", stack())
first, second = compiled(), compiled()
print("with two models:", during := stack())
del first
gc.collect()
del second
gc.collect()
print("after the first and then the second went:", after := stack())
if "no memory" not in after:
    sys.exit("changed: the thread has a signal stack that is there, or none")
PYTHON

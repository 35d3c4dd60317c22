#!/usr/bin/env bash
# OpenCV 5 reads 64-bit images exactly, and every function that it is then handed keeps their low 32 bits only.
#
# One would guess: an int64 array is refused, as OpenCV 4 did, or handled as int64, a type that OpenCV 5 has.
# What happens: `imdecode` of an int64 TIFF returns the right int64 array; `flip`, `resize`, `transpose` and
# `copyMakeBorder` of it return int32, without an error: 2**40 + 5 becomes 5, 2**31 becomes -2**31. uint32 is kept.
# Who is hurt: whoever turns or resizes label images with 64-bit ids (instances, tiles, time stamps) beside the pictures:
# different objects get the same id, or a negative one.
# Ours: trainables/data/images/decode.py takes no image of 64 bits; pixels are turned by Pillow.
set -euo pipefail
source "$(dirname "$0")/_setup.sh"
fresh_venv tifffile==2026.3.3 opencv-python-headless==5.0.0.93 numpy==2.4.6
quietly python - <<'PYTHON'
import io
import sys

import cv2
import numpy as np
import tifffile

ids = np.array([[2**40 + 5, 2**31], [7, 5]], np.int64)
file = io.BytesIO()
tifffile.imwrite(file, ids, photometric="minisblack")
read = cv2.imdecode(np.frombuffer(file.getvalue(), np.uint8), cv2.IMREAD_UNCHANGED)
print("read", read.dtype, read.tolist())
if read.dtype != np.int64 or (read != ids).any():
    sys.exit("changed: an int64 TIFF is no longer read as it is")
actions = {
    "flip": lambda image: cv2.flip(image, 1),
    "transpose": cv2.transpose,
    "copyMakeBorder": lambda image: cv2.copyMakeBorder(image, 0, 0, 0, 0, cv2.BORDER_CONSTANT),
    "resize": lambda image: cv2.resize(image, (2, 2), interpolation=cv2.INTER_NEAREST),
}
for name, act in actions.items():
    found, kept = act(read), act(ids.astype(np.uint32))
    print(name, found.dtype, found.tolist(), "of uint32:", kept.dtype)
    if found.dtype != np.int32 or sorted(found.ravel().tolist()) != [-(2**31), 5, 5, 7]:
        sys.exit(f"changed: {name} no longer keeps the low 32 bits of int64")
    if kept.dtype != np.uint32:
        sys.exit(f"changed: {name} no longer keeps uint32")
PYTHON

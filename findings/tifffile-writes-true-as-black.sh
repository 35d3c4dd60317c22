#!/usr/bin/env bash
# A mask of booleans that tifffile writes is inverted for every other reader.
#
# One would guess: True becomes white (255), as Pillow and NumPy have it, so a mask of objects has white objects.
# What happens: tifffile writes one bit a pixel and declares 0 to be white; tifffile reads True back, Pillow and OpenCV
# read black objects on a white ground. An array of 0 and 255 keeps its values everywhere.
# Who is hurt: whoever saves masks or thresholded images with tifffile and trains on them through another library: with
# two classes nothing fails, the classes have changed places.
# Ours: trainables/data/images/decode.py reads what the file declares; docs/limits.md says so.
set -euo pipefail
source "$(dirname "$0")/_setup.sh"
fresh_venv tifffile==2026.3.3 pillow==13.0.0 opencv-python-headless==5.0.0.93 numpy==2.4.6
quietly python - <<'PYTHON'
import io
import sys

import cv2
import numpy as np
import tifffile
from PIL import Image

mask = np.zeros((8, 16), bool)
mask[2:5, 3:9] = True


def readings(array):
    file = io.BytesIO()
    tifffile.imwrite(file, array)
    content = file.getvalue()
    return {
        "tifffile": tifffile.imread(io.BytesIO(content)) > 0,
        "Pillow": np.asarray(Image.open(io.BytesIO(content)).convert("L")) > 0,
        "OpenCV": cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_GRAYSCALE) > 0,
    }


as_bool, as_bytes = readings(mask), readings(mask.astype(np.uint8) * 255)
for name in as_bool:
    print(f"{name}: {mask.sum()} true pixels, read {as_bool[name].sum()} of bool, {as_bytes[name].sum()} of uint8")
if not all((found == mask).all() for found in as_bytes.values()):
    sys.exit("changed: uint8 masks are no longer read alike")
if not (as_bool["tifffile"] == mask).all():
    sys.exit("changed: tifffile no longer reads its own masks as they were")
if not all((as_bool[name] == ~mask).all() for name in ("Pillow", "OpenCV")):
    sys.exit("changed: boolean masks are no longer inverted for other readers")
PYTHON

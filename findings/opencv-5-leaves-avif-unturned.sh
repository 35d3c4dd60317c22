#!/usr/bin/env bash
# OpenCV turns every photo upright by its orientation except AVIF; TIFF it turns even where it was asked not to.
#
# One would guess: `imdecode` turns what carries an orientation, in all formats, and `IMREAD_UNCHANGED` turns none.
# What happens: JPEG, PNG and WebP behave so. TIFF is turned with IMREAD_UNCHANGED, too. AVIF is never turned: Pillow
# writes the orientation as the container's own rotation, where AVIF wants it, and OpenCV does not read that.
# Who is hurt: whoever trains on files decoded by Pillow and serves with OpenCV: after a change from JPEG to AVIF, the
# photos of phones lie on their sides, in the service only.
# Ours: trainables/data/images/decode.py turns all of them, once; tests compare the formats with each other.
set -euo pipefail
source "$(dirname "$0")/_setup.sh"
fresh_venv pillow==13.0.0 opencv-python-headless==5.0.0.93 numpy==2.4.6
quietly python - <<'PYTHON'
import io
import sys

import cv2
import numpy as np
from PIL import ExifTags, Image, ImageOps

LYING = {"JPEG": "upright", "PNG": "upright", "WEBP": "upright", "TIFF": "upright", "AVIF": "lying"}
UNCHANGED = {"JPEG": "lying", "PNG": "lying", "WEBP": "lying", "TIFF": "upright", "AVIF": "lying"}
for name in LYING:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    file = io.BytesIO()
    Image.new("RGB", (64, 32)).save(file, name, exif=exif)
    with Image.open(io.BytesIO(file.getvalue())) as image:
        width, height = ImageOps.exif_transpose(image).size
    content = np.frombuffer(file.getvalue(), np.uint8)
    seen = {
        flag: "upright" if cv2.imdecode(content, getattr(cv2, flag)).shape[:2] == (64, 32) else "lying"
        for flag in ("IMREAD_COLOR", "IMREAD_UNCHANGED")
    }
    print(name, "Pillow", "upright" if (width, height) == (32, 64) else "lying", seen)
    if (width, height) != (32, 64):
        sys.exit(f"changed: Pillow no longer turns {name}")
    if (seen["IMREAD_COLOR"], seen["IMREAD_UNCHANGED"]) != (LYING[name], UNCHANGED[name]):
        sys.exit(f"changed: OpenCV turns {name} otherwise now")
PYTHON

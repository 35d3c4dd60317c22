#!/usr/bin/env bash
# simplejpeg and Pillow decode a photo to the same bits, but to different pictures once both may decode it smaller.
#
# One would guess: both use libjpeg-turbo, and both were seen to agree bit for bit at full size; asked for at least so many
# pixels, both take the same reduced size.
# What happens: Pillow's `draft` knows 1/2, 1/4 and 1/8 alone, simplejpeg's `min_height` and `min_width` every eighth. For a
# photo of 2000x1500 and at least 448 pixels a side, Pillow decodes 1000x750 and simplejpeg 750x563. Shrunk to the same size,
# some pixels differ by more than ten of 255.
# Who is hurt: whoever trains on pictures that one of them decoded and serves those of the other, or changes from one to the
# other for speed after comparing them at full size: every picture is another one, and nothing says so.
# Ours: trainables/data/formats/jpeg.py decodes at full size only; reduced decoding is Pillow's alone.
set -euo pipefail
source "$(dirname "$0")/_setup.sh"
fresh_venv pillow==13.0.0 simplejpeg==1.9.0 numpy==2.4.6
quietly python - <<'PYTHON'
import io
import sys

import numpy as np
import simplejpeg
from PIL import Image

LEAST, FINAL = 448, 224
noise = np.random.default_rng(0).integers(0, 256, (150, 200, 3), dtype=np.uint8)
buffer = io.BytesIO()
Image.fromarray(noise).resize((2000, 1500), Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=90)
photo = buffer.getvalue()

whole = np.asarray(Image.open(io.BytesIO(photo)))
if not np.array_equal(whole, simplejpeg.decode_jpeg(photo)):
    sys.exit("changed: the two differ at full size, too")
print("at full size: the same bits")

drafted = Image.open(io.BytesIO(photo))
drafted.draft("RGB", (LEAST, LEAST))
eighths = Image.fromarray(simplejpeg.decode_jpeg(photo, min_height=LEAST, min_width=LEAST, min_factor=1))
print(f"at least {LEAST} a side: Pillow {drafted.size}, simplejpeg {eighths.size}")
small = [
    np.asarray(image.convert("RGB").resize((FINAL, FINAL), Image.Resampling.BILINEAR)).astype(int)
    for image in (drafted, eighths)
]
difference = np.abs(small[0] - small[1])
print(f"shrunk to {FINAL}: largest difference {difference.max()} of 255, mean {difference.mean():.2f}")
if (drafted.size, eighths.size) != ((1000, 750), (750, 563)):
    sys.exit("changed: the two take other sizes")
if difference.max() <= 10:
    sys.exit("changed: the two pictures hardly differ any more")
PYTHON

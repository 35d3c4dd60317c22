#!/usr/bin/env bash
# Pillow's rotate and transform, with any filter but the nearest pixel, return noise for 16-bit grey images.
#
# One would guess: `rotate(10, Resampling.BILINEAR)` of mode I;16 returns grey values between those that it had, as it
# does for modes L and F, and as `resize` does for I;16, or it refuses the mode.
# What happens: no error; each of a pixel's two bytes is taken for a pixel. Values of 200 to 900 come out as 1 to 199.
# Who is hurt: whoever augments CT slices or microscope images by a library that hands pictures to Pillow.
# Ours: trainables/data/images/decode.py scales 16 bits to 8 before anything else is done to an image.
set -euo pipefail
source "$(dirname "$0")/_setup.sh"
fresh_venv pillow==13.0.0 numpy==2.4.6
quietly python - <<'PYTHON'
import sys

import numpy as np
from PIL import Image

ramp = np.tile(np.linspace(200, 900, 64).round(), (64, 1))
inside = (slice(16, 48), slice(16, 48))
shift = (64, 64), Image.Transform.AFFINE, (1, 0, 0.5, 0, 1, 0)
actions = {
    "resize": lambda image, taps: image.resize((96, 96), taps),
    "rotate": lambda image, taps: image.rotate(10, resample=taps),
    "transform": lambda image, taps: image.transform(*shift, resample=taps),
}
worst = {}
for name, act in actions.items():
    for taps in (Image.Resampling.NEAREST, Image.Resampling.BILINEAR, Image.Resampling.BICUBIC):
        exact = np.asarray(act(Image.fromarray(ramp.astype(np.float32)), taps))[inside]
        found = np.asarray(act(Image.fromarray(ramp.astype(np.uint16)), taps))[inside]
        worst[name, taps.name] = abs(found - exact).max()
        print(f"{name} {taps.name}: {found.min()}..{found.max()}, as floats {exact.min():.0f}..{exact.max():.0f}")
if max(worst["resize", taps] for taps in ("BILINEAR", "BICUBIC")) > 2:
    sys.exit("changed: resizing 16-bit images is off as well now")
if max(worst[name, "NEAREST"] for name in ("rotate", "transform")) > 1:
    sys.exit("changed: turning 16-bit images by nearest pixels is off as well now")
if min(worst[name, taps] for name in ("rotate", "transform") for taps in ("BILINEAR", "BICUBIC")) < 100:
    sys.exit("changed: 16-bit images are turned rightly now")
PYTHON

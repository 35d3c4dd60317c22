#!/usr/bin/env bash
# Saving an image as AVIF with Pillow removes the orientation from the Exif object that was handed over.
#
# One would guess: `save` reads `exif` and leaves it, as for JPEG, WebP, PNG and TIFF.
# What happens: the AVIF writer takes the orientation out of the caller's object. What is saved with it next lacks the
# orientation, and `exif_transpose` of the image that it came from does nothing any more.
# Who is hurt: whoever writes photos in two formats, AVIF first: the second file of every photo from a phone lies on its
# side, and a model trained on both formats sees the same picture in two positions.
# Ours: none; trainables/data/images/decode.py can only read what the files say.
set -euo pipefail
source "$(dirname "$0")/_setup.sh"
fresh_venv pillow==13.0.0
quietly python - <<'PYTHON'
import io
import sys

from PIL import ExifTags, Image, ImageOps

exif = Image.Exif()
exif[ExifTags.Base.Orientation] = 6
photo = io.BytesIO()
Image.new("RGB", (64, 32)).save(photo, "JPEG", exif=exif)

sizes = {}
for first in ("WEBP", "AVIF"):
    image = Image.open(io.BytesIO(photo.getvalue()))
    kept = image.getexif()
    image.save(io.BytesIO(), first, exif=kept)
    second = io.BytesIO()
    image.save(second, "JPEG", exif=kept)
    sizes[first] = {
        "the same image": ImageOps.exif_transpose(image).size,
        "saved as JPEG next": ImageOps.exif_transpose(Image.open(io.BytesIO(second.getvalue()))).size,
    }
    print(f"after saving as {first}:", sizes[first])
if set(sizes["WEBP"].values()) != {(32, 64)}:
    sys.exit("changed: another format takes the orientation away, too")
if set(sizes["AVIF"].values()) != {(64, 32)}:
    sys.exit("changed: AVIF leaves the orientation now")
PYTHON

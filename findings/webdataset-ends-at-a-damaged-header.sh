#!/usr/bin/env bash
# webdataset ends at a damaged header as if the archive ended there, and joins files that differ behind their first dot.
#
# One would guess: an archive with a damaged header raises an error, and img_0.5.jpg and img_0.7.jpg are two examples.
# What happens: Python's tarfile, which webdataset reads with, takes a header with a wrong checksum for the end of the
# archive, unless it is the first; every example behind it is missing, without a word. A name is cut at its first dot, so
# both images become fields of one example, img_0.
# Who is hurt: whoever trains on a shard that was damaged or was joined with cat: with fewer images, and no error.
# Ours: trainables/data/records/tar_members.py reads on to the last byte; trainables/data/records/webdataset.py refuses
# such names.
set -euo pipefail
source "$(dirname "$0")/_setup.sh"
fresh_venv webdataset==1.0.2 numpy==2.4.6
quietly python - <<'PYTHON'
import io
import sys
import tarfile

import webdataset


def archive(path, names, damaged=None):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name in names:
            entry = tarfile.TarInfo(name)
            entry.size = 1
            tar.addfile(entry, io.BytesIO(b"x"))
    content = bytearray(buffer.getvalue())
    if damaged is not None:
        content[damaged : damaged + 512] = b"\xff" * 512
    with open(path, "wb") as file:
        file.write(content)
    return path


def keys(path):
    return [sample["__key__"] for sample in webdataset.WebDataset([path], shardshuffle=False)]


whole = keys(archive("whole.tar", [f"{number}.txt" for number in range(5)]))
torn = keys(archive("torn.tar", [f"{number}.txt" for number in range(5)], damaged=2 * 1024))
joined = keys(archive("joined.tar", ["img_0.5.jpg", "img_0.7.jpg"]))
print(f"whole: {whole}; third header damaged: {torn}; img_0.5.jpg and img_0.7.jpg: {joined}")
if len(whole) != 5:
    sys.exit("changed: a whole archive is read otherwise")
if torn != ["0", "1"]:
    sys.exit("changed: a damaged header no longer ends the archive in silence")
if joined != ["img_0"]:
    sys.exit("changed: names are no longer cut at their first dot")
PYTHON

#!/usr/bin/env bash
# webdataset reads the first of several archives that were joined with cat, and says nothing of the others.
#
# One would guess: shards of tar can be joined with `cat`, as gzip files, JSON lines and TFRecords can, or an error is
# raised where examples follow the end of the first.
# What happens: every archive ends in two blocks of zeros, at which Python's tarfile, which webdataset reads with, stops.
# The examples of all further archives are missing, and no warning says so. TFRecords joined so are read whole.
# Who is hurt: whoever makes fewer and larger shards with `cat`: a data set of ten shards has a tenth of its images.
# Ours: trainables/data/records/tar_members.py refuses a file that goes on behind its archive.
set -euo pipefail
source "$(dirname "$0")/_setup.sh"
fresh_venv webdataset==1.0.2 numpy==2.4.6
quietly python - <<'PYTHON'
import io
import sys
import tarfile

import webdataset


def archive(names):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name in names:
            entry = tarfile.TarInfo(name)
            entry.size = 1
            tar.addfile(entry, io.BytesIO(b"x"))
    return buffer.getvalue()


def keys(name, content):
    with open(name, "wb") as file:
        file.write(content)
    return [sample["__key__"] for sample in webdataset.WebDataset([name], shardshuffle=False)]


first, second = archive(["0.txt", "1.txt"]), archive(["2.txt", "3.txt"])
found = {"first": keys("a.tar", first), "second": keys("b.tar", second), "joined": keys("c.tar", first + second)}
print(found)
if found["first"] + found["second"] != ["0", "1", "2", "3"]:
    sys.exit("changed: a whole archive is read otherwise")
if found["joined"] != ["0", "1"]:
    sys.exit("changed: joined archives are no longer read up to the end of the first")
PYTHON

#!/usr/bin/env bash
# PyArrow's tensors of a channels-first array viewed as channels-last come back with their axes in a third order.
#
# One would guess: `FixedShapeTensorArray.from_numpy_ndarray(x)` keeps x, view or not, and `to_numpy_ndarray` returns it.
# What happens: a view is stored in its own order of axes, and the type says how to undo that. Where two axes changed
# places it is right. For `x.transpose(0, 2, 3, 1)`, which every PyTorch user writes, the inverse order is stored:
# images of (height, width, channels) come back as (width, channels, height); another order ends in an error. Arrow's
# text on `permutation` agrees with the reader, so the file is wrong.
# Who is hurt: whoever writes images from PyTorch to Parquet or Arrow; nothing fails until somebody looks at a shape.
# Ours: trainables/data/parquet/lists.py refuses such tensors in words.
set -euo pipefail
source "$(dirname "$0")/_setup.sh"
fresh_venv pyarrow==26.0.1 numpy==2.4.6
quietly python - <<'PYTHON'
import itertools
import sys

import numpy as np
import pyarrow as pa

images = np.arange(2 * 3 * 5 * 6, dtype=np.uint8).reshape(2, 5, 6, 3)
for axes in itertools.permutations((1, 2, 3)):
    order = (0, *axes)
    view = np.ascontiguousarray(images.transpose(order)).transpose(np.argsort(order))
    assert np.array_equal(view, images)
    tensors = pa.FixedShapeTensorArray.from_numpy_ndarray(view)
    try:
        back = tensors.to_numpy_ndarray()
        is_kept, seen = back.shape == images.shape and bool((back == images).all()), back.shape
    except pa.ArrowInvalid as exc:
        is_kept, seen = False, f"an error ({exc})"
    is_cycle = not np.array_equal(np.argsort(order), order)
    print(f"stored as axes {order}: permutation {tensors.type.permutation}, {images.shape} comes back as {seen}")
    if is_kept and is_cycle:
        sys.exit(f"changed: a view stored as {order} is kept now")
    if not is_kept and not is_cycle:
        sys.exit(f"changed: a view stored as {order} is lost now")
PYTHON

"""Reads the column that says how much each training image counts in the loss."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from trainables.data.images.images import Array
from trainables.data.labels.weights import weights_of
from trainables.data.parquet.files import num_rows
from trainables.data.parquet.labels import read_values


def read_weights(files: Sequence[Path], column: str) -> Array:
    """Returns the weights of all files' rows, float32 (count,).

    Raises:
        DataError: If the column is missing, or a value is no finite number from 0.
    """
    parts = []
    for file in files:

        def place(row: int, file: Path = file) -> str:
            return f"{file} row {row}"

        values = read_values([file], column, field="sample_weight")
        parts.append(weights_of(values, count=num_rows([file]), where=f"data.sample_weight {column!r}", place=place))
    return np.concatenate(parts)

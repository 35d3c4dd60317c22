"""Predictions of checkpoints on the validation split, kept as Parquet in the run folder, a file a checkpoint.

A second call, or one after a kill, computes only those that are missing. A file belongs to a variant, an epoch and the
images of a study; one that belongs to anything else is as if it were missing.
"""

import io
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from trainables.ensembles.requests import Candidate
from trainables.files.whole import write_whole

SCHEMA_VERSION = 1
_OUTPUT, _OWNER = "output", b"convfleet"


class KeptPredictions:
    """The predictions of a run's checkpoints.

    Args:
        folder: Where they are kept.
        fingerprint: Of the study's images.
        num_images: How many its validation split has.
    """

    def __init__(self, folder: Path, *, fingerprint: str, num_images: int) -> None:
        self._folder, self._fingerprint, self._num_images = folder, fingerprint, num_images

    def read(self, candidate: Candidate) -> np.ndarray | None:
        """Returns what a checkpoint predicts, float32 (images, size); None where that is not kept, or damaged."""
        try:
            table = pq.read_table(pa.BufferReader(self._path(candidate).read_bytes()))
            owner = json.loads((table.schema.metadata or {})[_OWNER])
            column = table.column(_OUTPUT).combine_chunks()
            outputs = np.asarray(column.flatten(), np.float32).reshape(len(column), -1)
        except (OSError, KeyError, ValueError, AttributeError, pa.ArrowException):
            return None
        is_right = owner == self._owner(candidate) and len(outputs) == self._num_images and np.isfinite(outputs).all()
        return outputs if is_right else None

    def write(self, candidate: Candidate, outputs: np.ndarray) -> None:
        """Keeps what a checkpoint predicts; the file appears whole.

        Args:
            candidate: The checkpoint.
            outputs: float32 (images, size), in the order of the split.
        """
        column = pa.FixedSizeListArray.from_arrays(pa.array(outputs.reshape(-1), pa.float32()), outputs.shape[1])
        metadata = {_OWNER: json.dumps(self._owner(candidate)).encode()}
        table = pa.table({_OUTPUT: column}).replace_schema_metadata(metadata)
        content = io.BytesIO()
        pq.write_table(table, content, compression="zstd")
        write_whole(self._path(candidate), content.getvalue())

    def _path(self, candidate: Candidate) -> Path:
        return self._folder / f"{candidate.name}.parquet"

    def _owner(self, candidate: Candidate) -> Mapping[str, object]:
        return {
            "schema": SCHEMA_VERSION,
            "trial": candidate.trial,
            "epoch": candidate.epoch,
            "variant_id": candidate.variant.variant_id,
            "dataset": self._fingerprint,
            "split": "validation",
        }

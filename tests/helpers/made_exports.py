"""Made-up exports: folders with a whole manifest, whose models are a few bytes that nothing can load."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trainables.files.manifests import MANIFEST, fingerprints, sealed

#: The export folder of a run that an earlier commit made: real models, in both formats.
REAL_RUN = Path(__file__).parents[1] / "formats" / "94e788f" / "finished"
FILES: Mapping[str, bytes] = {
    "model.keras": b"a model",
    "saved_model/saved_model.pb": b"a graph",
    "saved_model/variables/variables.index": b"an index",
}


def write_export(folder: Path, *, files: Mapping[str, bytes] = FILES, **changes: Any) -> Path:
    """Writes an export of some files; `changes` replace keys of its manifest."""
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    content = {
        "schema": 2,
        "study": "digits",
        "trial": "t0007",
        "rank": 1,
        "epoch": 4,
        "variant": {"family": "sequential", "params": {"filters": 8}, "seed": 7, "variant_id": "5b86b96b8460"},
        "num_parameters": 1970,
        "metrics": {"loss": 0.5, "val_accuracy": 0.9},
        "test_metrics": {"loss": 0.6, "accuracy": 0.8},
        "dataset_fingerprint": "5c8fcb0d28d49cb3",
        "inputs": [{"name": "image", "dtype": "float32", "shape": [None, 8, 8, 1], "values": "0 to 255"}],
        "outputs": [{"name": "output_0", "kind": "classification", "shape": [None, 2], "class_names": ["cat", "dog"]}],
        **changes,
    }
    content["files"] = changes.get("files", fingerprints(folder))
    kept = {key: value for key, value in content.items() if value is not None}
    (folder / MANIFEST).write_text(json.dumps(sealed(kept)), encoding="utf-8")
    return folder

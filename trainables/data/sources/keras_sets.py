"""The data sets that Keras knows by name, downloaded by Keras or placed by hand."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from trainables.data.images.images import Array
from trainables.data.sources.array_splits import array_dataset
from trainables.data.sources.base import OpenedSource, content_hashes
from trainables.data.sources.npz import load_npz
from trainables.errors import DataError
from trainables.files.keras_home import keras_home
from trainables.progress import OnProgress
from trainables.specs.data import DataSpec

#: The files of each set below Keras's `datasets` folder, as Keras names them.
FILES = {
    "mnist": ("mnist.npz",),
    "fashion_mnist": (
        "fashion-mnist/train-labels-idx1-ubyte.gz",
        "fashion-mnist/train-images-idx3-ubyte.gz",
        "fashion-mnist/t10k-labels-idx1-ubyte.gz",
        "fashion-mnist/t10k-images-idx3-ubyte.gz",
    ),
    "cifar10": ("cifar-10-batches-py-target_archive",),
    "cifar100": ("cifar-100-python-target_archive",),
}

ORIGINS = {
    "mnist": "https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz",
    "fashion_mnist": "https://storage.googleapis.com/tensorflow/tf-keras-datasets/ (four *-ubyte.gz files)",
    "cifar10": "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
    "cifar100": "https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz",
}

CLASS_NAMES = {
    "mnist": tuple("0123456789"),
    "fashion_mnist": (
        "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
    ),
    "cifar10": ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
}  # fmt: skip


def open_keras(spec: DataSpec, progress: OnProgress) -> OpenedSource:
    """Returns one of Keras's data sets, from its files on this machine, else downloaded by Keras.

    Raises:
        DataError: If the files are missing and Keras cannot download them.
    """
    name = spec.name or ""
    loaded: dict[str, Array] = {}
    if not _present(name):
        progress(f"downloading {name}", 0, 1)
        loaded = _load_with_keras(name)
    files = [(f"name: {name}", path) for path in _present(name)]
    where = f"keras {name}"

    def read() -> dict[str, Array]:
        arrays = loaded or _load(name)
        if name in CLASS_NAMES:
            arrays = {**arrays, "class_names": np.array(CLASS_NAMES[name])}
        # Under the column's name as well, for a target that names it.
        return {**arrays, "label_train": arrays["y_train"], "label_test": arrays["y_test"]}

    return OpenedSource(
        content=(where, *content_hashes(files, progress=progress)),
        read=lambda: array_dataset(read(), where=where, spec=spec),
    )


def _present(name: str) -> list[Path]:
    """Returns the set's files if one of Keras's folders has all of them, else none."""
    for folder in _folders():
        paths = [folder / file for file in FILES[name]]
        if all(path.is_file() for path in paths):
            return paths
    return []


def _folders() -> list[Path]:
    """Returns the folders in which Keras looks for data sets: its home and, if that is read-only, a temporary one."""
    fallback = Path("/tmp") if Path("/tmp").is_dir() else Path(tempfile.gettempdir())
    return [keras_home() / "datasets", fallback / ".keras" / "datasets"]


def _load(name: str) -> dict[str, Array]:
    if name == "mnist":
        # Read directly: findings/keras-deletes-a-data-set-of-ones-own.sh, and Keras takes seconds to import.
        return dict(load_npz(_present(name)[0]))
    return _load_with_keras(name)


def _load_with_keras(name: str) -> dict[str, Array]:
    # Late: Keras imports TensorFlow, and this runs only in the short-lived preparation process.
    import keras

    try:
        (x_train, y_train), (x_test, y_test) = getattr(keras.datasets, name).load_data()
    except Exception as exc:
        raise DataError(_no_download(name, exc)) from exc
    if x_train.ndim == 4 and x_train.shape[1] == 3 and x_train.shape[-1] != 3:
        # ~/.keras/keras.json may ask for channels first.
        x_train, x_test = x_train.transpose(0, 2, 3, 1), x_test.transpose(0, 2, 3, 1)
    return {"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test}


def _no_download(name: str, exc: Exception) -> str:
    targets = ", ".join(str(_folders()[0] / file) for file in FILES[name])
    return (
        f"data.name: {name!r} could not be loaded by Keras: {exc}; without network, fetch {ORIGINS[name]} elsewhere "
        f"and place it as {targets}, or use your own files: source: npz, parquet or images"
    )

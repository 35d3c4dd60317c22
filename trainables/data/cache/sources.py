"""Lists the sources of images by the names that study files use."""

from collections.abc import Callable, Mapping

from trainables.data.parquet.source import open_parquet
from trainables.data.records.cifar_binary import open_cifar_binary
from trainables.data.records.idx import open_idx
from trainables.data.records.tfrecord import open_tfrecord
from trainables.data.records.webdataset import open_webdataset
from trainables.data.sources.base import OpenedSource
from trainables.data.sources.class_folders import open_class_folders
from trainables.data.sources.digits import open_digits
from trainables.data.sources.keras_sets import open_keras
from trainables.data.sources.npz import open_npz
from trainables.data.sources.python_function import open_python
from trainables.data.tables.csv_tables import open_csv
from trainables.progress import OnProgress
from trainables.specs.data import DataSpec

SOURCES: Mapping[str, Callable[[DataSpec, OnProgress], OpenedSource]] = {
    "digits": open_digits,
    "keras": open_keras,
    "npz": open_npz,
    "parquet": open_parquet,
    "images": open_class_folders,
    "csv": open_csv,
    "idx": open_idx,
    "cifar_binary": open_cifar_binary,
    "webdataset": open_webdataset,
    "tfrecord": open_tfrecord,
    "python": open_python,
}

"""What a format of a runtime other than TensorFlow consists of; no TensorFlow."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from trainables.errors import ModelExportError

#: Arrays by the name of an input or output.
Arrays = Mapping[str, np.ndarray]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """The SavedModel that all formats of a model are converted from.

    Attributes:
        saved_model: Its folder; signature `serving_default` predicts.
        inputs: The names of its inputs, in the order of the manifest.
        outputs: The names of its outputs, in the order of the manifest.
        calibration: Returns training images by input name, which quantised formats find their ranges with.
    """

    saved_model: Path
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    calibration: Callable[[], Arrays] = dict


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeModel:
    """A file that its runtime has loaded.

    Attributes:
        predict: Returns float outputs by name for float32 images by name; any number of images.
        version: Of the runtime.
        settings: The runtime's settings that change numbers or speed.
    """

    predict: Callable[[Arrays], Arrays]
    version: str
    settings: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerValues:
    """What layers of a quantised file, and of the float32 file that it was made of, give for the same images.

    Attributes:
        exact: Values of the float32 file by tensor, each (images, values).
        quantised: Likewise of the quantised file.
        before: By tensor of the float32 file, in the order in which it computes them, what each is computed from.
    """

    exact: Arrays
    quantised: Arrays
    before: Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversion:
    """One way to convert a SavedModel, and to load the result by its own runtime.

    Attributes:
        runtime: The package that loads it.
        convert: Writes the file or folder from a source; TensorFlow may be imported.
        open: Loads it with so many threads; TensorFlow is not imported.
        unknown: What the format cannot express, in words, by TensorFlow's operation.
        layer_values: Returns what the layers of a quantised file give for images of the calibration; None: the format
            has no way to say it.
    """

    runtime: str
    convert: Callable[[Source, Path], None]
    open: Callable[[Path, int], RuntimeModel]
    unknown: Mapping[str, str] = field(default_factory=dict)
    layer_values: Callable[[Source, Path], LayerValues] | None = None


def check_names(found: Iterable[str], names: Sequence[str]) -> None:
    """Compares the inputs or outputs of a converted model with those of its manifest.

    Args:
        found: The names in the file.
        names: Those of the manifest.

    Raises:
        ModelExportError: They are not the same ones.
    """
    if sorted(found) != sorted(names):
        raise ModelExportError(f"its converter made {sorted(found)} of {sorted(names)}")

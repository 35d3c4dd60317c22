"""A model that was loaded to predict with, from whichever format: images in, arrays out; no TensorFlow."""

import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from trainables.errors import ModelExportError
from trainables.exporting.runtimes.conversions import CONVERSIONS
from trainables.specs.export import FILES

#: Images that go through a model at once.
_BATCH = 256


class OpenedModel:
    """A model in this process; it shares no variable and no function with another one.

    Args:
        model: What the runtime loaded, such as the Keras model; it owns the weights.
        call: Returns the model's output arrays for float32 arrays by input name: one, or one by output name.
        inputs: The manifest's inputs, each with name and shape.
    """

    def __init__(
        self, model: Any, *, call: Callable[[dict[str, np.ndarray]], Any], inputs: Sequence[Mapping[str, Any]]
    ) -> None:
        self.model = model
        self._call = call
        self._shapes = {named["name"]: tuple(named["shape"][1:]) for named in inputs}

    def predict(self, images: Any) -> Any:
        """Returns the outputs of the model for images: one array, or one by output where it has several.

        Args:
            images: (count, height, width, channels), pixels of 0 to 255 of any number type, of the size that the
                manifest says; one by input where the model has several.

        Raises:
            ModelExportError: If the images are not what the model takes.
        """
        given = self._checked(images)
        count = len(next(iter(given.values())))
        if not count:
            # With oneDNN, TensorFlow's convolutions answer no image with as many channels as come in.
            given = {name: np.zeros((1, *shape), np.float32) for name, shape in self._shapes.items()}
        batches = [
            self._call({name: array[start : start + _BATCH] for name, array in given.items()})
            for start in range(0, max(count, 1), _BATCH)
        ]
        return _joined(batches, count=count)

    def _checked(self, images: Any) -> dict[str, np.ndarray]:
        names = list(self._shapes)
        given = images if isinstance(images, Mapping) else {names[0]: images}
        if set(given) != set(names):
            raise ModelExportError(f"images: must be one array for each of {names}, got {sorted(map(str, given))}")
        arrays = {name: _pixels(given[name], name=name, shape=shape) for name, shape in self._shapes.items()}
        counts = {name: len(array) for name, array in arrays.items()}
        if len(set(counts.values())) > 1:
            raise ModelExportError(f"images: must be equally many for each input, got {counts}")
        return arrays


def open_converted(folder: Path, *, form: str, inputs: Sequence[Mapping[str, Any]], threads: int) -> OpenedModel:
    """Returns the model of an export, loaded by the runtime of one of CONVERSIONS; TensorFlow is not imported.

    Args:
        folder: Holds the files of that format.
        form: A name in CONVERSIONS.
        inputs: The manifest's inputs.
        threads: How many the runtime uses.

    Raises:
        ModelExportError: If the runtime cannot load it, or is not installed.
    """
    conversion = CONVERSIONS[form]
    try:
        runtime = conversion.open(folder / FILES[form], threads)
    except Exception as exc:  # Runtimes raise anything for a file of another version.
        lines = str(exc).strip().splitlines() or [type(exc).__name__]
        raise ModelExportError(f"{FILES[form]} cannot be loaded by {conversion.runtime}: {lines[0]}") from exc
    # An interpreter of LiteRT and a request of OpenVINO hold one batch.
    lock = threading.Lock()

    def call(images: dict[str, np.ndarray]) -> Any:
        with lock:
            found = {name: np.asarray(array) for name, array in runtime.predict(images).items()}
        return found if len(found) > 1 else next(iter(found.values()))

    return OpenedModel(runtime, call=call, inputs=inputs)


def _joined(batches: Sequence[Any], *, count: int) -> Any:
    """Returns the outputs of the first images of all batches."""
    first = batches[0]
    if isinstance(first, Mapping):
        return {name: _joined([batch[name] for batch in batches], count=count) for name in first}
    if isinstance(first, list | tuple):
        return [_joined(parts, count=count) for parts in zip(*batches, strict=True)]
    return np.concatenate(batches)[:count]


def _pixels(images: Any, *, name: str, shape: tuple[int, ...]) -> np.ndarray:
    array = np.asarray(images)
    if array.dtype.kind not in "buif" or array.shape[1:] != shape or array.ndim == 0:
        wanted = ", ".join(["count", *map(str, shape)])
        raise ModelExportError(
            f"images: {name}: must be numbers of shape ({wanted}), pixels of 0 to 255, got {array.dtype} of shape "
            f"{array.shape}"
        )
    return array.astype(np.float32, copy=False)

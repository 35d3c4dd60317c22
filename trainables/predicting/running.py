"""Runs an export by whichever of its formats; TensorFlow is imported only for its own two formats."""

from collections.abc import Callable, Mapping

import numpy as np

from trainables.data.images.images import Array
from trainables.errors import DataError, ModelExportError
from trainables.exporting.runtimes.conversions import CONVERSIONS
from trainables.machine.imports import import_tensorflow
from trainables.machine.processes import usable_cpus
from trainables.predicting.described import ExportedModel
from trainables.specs.export import FILES
from trainables.specs.task import Task
from trainables.specs.worker import DeviceSpec
from trainables.user_code import in_words

#: Outputs by target, for pixels uint8 (count, height, width, stored channels).
Predict = Callable[[Array], Mapping[str, Array]]

#: Images that are predicted at once: so many, and no more than these bytes of float32.
_MOST_IMAGES, _MOST_BYTES = 256, 256_000_000


def needs_tensorflow(form: str) -> bool:
    """Returns whether TensorFlow runs a format.

    >>> needs_tensorflow("saved_model"), needs_tensorflow("onnx")
    (True, False)
    """
    return form not in CONVERSIONS


def images_at_once(task: Task) -> int:
    """Returns how many images of a task are predicted at once.

    >>> images_at_once(Task.classification(input_shape=(1000, 1000, 3), num_classes=2))
    21
    """
    height, width, _ = task.input_shape
    return max(1, min(_MOST_IMAGES, _MOST_BYTES // (4 * height * width * task.stored_channels)))


def open_export(export: ExportedModel, *, form: str) -> Predict:
    """Returns the function that predicts with one format of an export.

    Args:
        export: The export.
        form: One of its formats.

    Raises:
        DataError: Its runtime cannot load it.
    """
    try:
        by_output = _by_own_runtime(export, form=form) if form in CONVERSIONS else _by_tensorflow(export, form=form)
    except Exception as exc:  # runtimes raise anything for a file of another version
        raise DataError(f"{export.folder / FILES[form]}: cannot be loaded: {in_words(exc)}") from exc
    names = [output["name"] for output in export.manifest["outputs"]]
    targets = [target.name for target in export.task.targets]

    def predict(images: Array) -> Mapping[str, Array]:
        found = by_output(_inputs(images, export.task))
        return {target: np.asarray(found[name]) for target, name in zip(targets, names, strict=True)}

    return predict


def _inputs(images: Array, task: Task) -> dict[str, Array]:
    channels = task.input_shape[2]
    floats = images.astype(np.float32)
    return {
        name: np.ascontiguousarray(floats[..., place * channels : (place + 1) * channels])
        for place, name in enumerate(task.inputs)
    }


def _by_own_runtime(export: ExportedModel, *, form: str) -> Callable[[Mapping[str, Array]], Mapping[str, Array]]:
    return CONVERSIONS[form].open(export.folder / FILES[form], usable_cpus()).predict


def _by_tensorflow(export: ExportedModel, *, form: str) -> Callable[[Mapping[str, Array]], Mapping[str, Array]]:
    # Late, and without scikit-learn: runtimes of other formats do without TensorFlow.
    import_tensorflow()
    from trainables.opening.tensorflow_formats import open_model
    from trainables.training.devices import configure_devices

    # On CPUs, where the files were verified: a GPU multiplies float32 with fewer digits.
    configure_devices(DeviceSpec(cpus=usable_cpus()))
    opened = open_model(export.folder, form=form, inputs=export.manifest["inputs"])
    lone = export.manifest["outputs"][0]["name"]

    def predict(images: Mapping[str, Array]) -> Mapping[str, Array]:
        found = opened.predict(dict(images))
        return found if isinstance(found, Mapping) else {lone: found}

    return predict


def finite(outputs: Mapping[str, Array], *, what: str) -> Mapping[str, Array]:
    """Returns outputs as they are.

    Args:
        outputs: By target.
        what: The export in the error.

    Raises:
        ModelExportError: A number is not finite.
    """
    if not all(np.isfinite(values).all() for values in outputs.values()):
        raise ModelExportError(f"{what}: predicts values that are not finite; the model is of no use")
    return outputs

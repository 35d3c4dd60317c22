"""The metrics of an export's predictions, by the names and the very computations of its study."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from trainables.catalog.families import FAMILIES
from trainables.catalog.training import MODEL, TARGETS
from trainables.data.images.images import Array
from trainables.predicting.described import ExportedModel
from trainables.scores.interval import wilson_interval
from trainables.specs.export import FILES
from trainables.specs.targets import LOSSES, is_own
from trainables.specs.task import Task
from trainables.specs.worker import NO_OWN_CODE


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundMetrics:
    """Metrics of predictions.

    Attributes:
        values: As `test_metrics` of the manifest names them.
        intervals: Wilson's, of those that are shares of images.
        left_out: Sentences about what the export alone cannot compute.
    """

    values: Mapping[str, float]
    intervals: Mapping[str, tuple[float, float]]
    left_out: tuple[str, ...]


def metrics_of(
    predicted: Mapping[str, Array], labels: Mapping[str, Array], *, export: ExportedModel, images: Mapping[str, Array]
) -> FoundMetrics:
    """Returns the losses and metrics that the study reported, of other predictions.

    Args:
        predicted: Outputs by target.
        labels: By target, as `task.Target` has them.
        export: The model.
        images: By input, where a file of Keras made the predictions; empty for other formats.
    """
    task, params, left_out = _computable(export)
    # Late: it brings TensorFlow, which whoever only asks for a format's name does without.
    from trainables.exporting.predicted_metrics import metrics_of_keras_file, predicted_metrics

    if images:
        values = metrics_of_keras_file(export.folder / FILES["keras"], images, labels, task=task, params=params)
    else:
        values = predicted_metrics(predicted, labels, task=task, params=params, own=NO_OWN_CODE)
    if any(sentence.startswith("loss") for sentence in left_out):
        values = {name: value for name, value in values.items() if not name.endswith("loss")}
    count = len(next(iter(labels.values())))
    # Metrics are float32; a share of images is a whole number of them.
    shares = {name: round(values[name] * count) / count for name in task.image_shares if name in values}
    return FoundMetrics(
        values=values,
        intervals={name: wilson_interval(value, count=count) for name, value in shares.items()},
        left_out=left_out,
    )


def _computable(export: ExportedModel) -> tuple[Task, dict[str, Any], tuple[str, ...]]:
    """Returns the task and the parameters without losses and metrics of users', and what was left out."""
    variant = export.manifest["variant"]
    params = dict(FAMILIES[variant["family"]].with_defaults(variant["params"]))
    left_out = []
    if is_own(params["loss"]) or params["loss"] == MODEL:
        left_out.append(f"loss {params['loss']}, by code that the export does not hold")
        params["loss"] = TARGETS
    targets = []
    for target in export.task.targets:
        own = [name for name in target.metrics if is_own(name)]
        left_out += [f"{target.name}: metric {name}, by code that the export does not hold" for name in own]
        kept = replace(target, metrics=tuple(name for name in target.metrics if name not in own))
        if is_own(target.loss):
            left_out.append(f"loss {target.loss} of {target.name}, by code that the export does not hold")
            kept = replace(kept, loss=LOSSES[target.kind][0])
        targets.append(kept)
    return replace(export.task, targets=tuple(targets)), params, tuple(left_out)

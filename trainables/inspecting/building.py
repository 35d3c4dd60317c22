"""A trial's Keras model: as it began, or with the weights of its best epoch. Both import TensorFlow when called."""

from pathlib import Path
from typing import Any

from trainables.catalog.families import FAMILIES
from trainables.checkpoints.weights import load_validated
from trainables.inspecting.requests import ModelRequest
from trainables.specs.targets import is_own


def built_model(request: ModelRequest) -> Any:
    """Returns the model with the initial weights of its variant's seed, not compiled.

    Args:
        request: The trial's model.
    """
    # Late: they import TensorFlow, which only who builds a model needs.
    from trainables.families.building import fresh_model
    from trainables.own_code.loading import begin_anew
    from trainables.training.completing import complete_model

    variant, dataset = request.variant, request.dataset
    params = FAMILIES[variant.family].with_defaults(variant.params)
    if dataset.task.has_own_code or is_own(params["loss"]):
        begin_anew(request.own)
    model = fresh_model(
        variant,
        task=dataset.task,
        statistics=dataset.statistics,
        study_dir=request.own.folder,
        may_ignore=True,
    )
    complete_model(model, params, task=dataset.task, own=request.own)
    return model


def loaded_model(request: ModelRequest) -> Any:
    """Returns the model with the weights that were validated after its epoch, not compiled.

    Args:
        request: The trial's model.

    Raises:
        CheckpointError: The checkpoint is missing, damaged, or of another model.
    """
    # Late, as above.
    from trainables.exporting.loading import restored_model

    checkpoint = load_validated(Path(request.folder), epoch=request.epoch, variant_id=request.owner)
    return restored_model(
        request.variant,
        checkpoint,
        task=request.dataset.task,
        statistics=request.dataset.statistics,
        study_dir=request.own.folder,
        code=request.own.source,
    )

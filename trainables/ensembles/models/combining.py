"""One Keras model that has several inside and puts out the weighted mean of their outputs."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import keras
from keras import layers

from trainables.ensembles.requests import Candidate, EnsembleMember
from trainables.exporting.loading import kept_checkpoint, trial_model
from trainables.exporting.plain_graph import plain_model
from trainables.families.parts.inputs import by_target
from trainables.specs.task import Task
from trainables.specs.worker import WorkerSpec


def voting_model(members: Sequence[EnsembleMember], *, worker: WorkerSpec, precision: str | None = None) -> Any:
    """Returns the model of checkpoints that vote.

    Args:
        members: The checkpoints.
        worker: The study's data and checkpoints.
        precision: What all members compute in, whatever they were trained in; None: as they were trained.

    Raises:
        CheckpointError: A checkpoint is missing or damaged.
    """
    models = [member_model(member.candidate, worker=worker, precision=precision) for member in members]
    return combined_model(models, members=members, task=worker.dataset.task)


def member_model(candidate: Candidate, *, worker: WorkerSpec, precision: str | None = None) -> Any:
    """Returns the model of a checkpoint as a graph of Keras's layers.

    Args:
        candidate: The checkpoint.
        worker: The study's data and checkpoints.
        precision: What it computes in; None: as it was trained.

    Raises:
        CheckpointError: It is missing or damaged.
    """
    variant = candidate.variant
    checkpoint = kept_checkpoint(worker, trial=candidate.trial, variant=variant, epoch=candidate.epoch)
    if precision is not None:
        variant = replace(variant, params={**variant.params, "precision": precision})
        # What a user's model was made of has been compared: it names the precision of each layer.
        checkpoint = replace(checkpoint, model=None)
    return plain_model(trial_model(worker, variant, checkpoint), worker.dataset.task)


def combined_model(models: Sequence[keras.Model], *, members: Sequence[EnsembleMember], task: Task) -> keras.Model:
    """Returns a model whose output is the weighted mean of the outputs of others; it takes raw pixels, as they do.

    It consists of Keras's layers and the models themselves, which share no weight and act as in a prediction.

    Args:
        models: One a member.
        members: Their weights, which sum to 1.
        task: Has one target.
    """
    images = {name: keras.Input(task.input_shape, name=name) for name in task.inputs}
    inputs = images if len(images) > 1 else next(iter(images.values()))
    shares = []
    for model, member in zip(models, members, strict=True):
        model.name = f"{member.candidate.trial}_epoch_{member.candidate.epoch}"
        outputs = model(inputs, training=False)
        lone = next(iter(outputs.values())) if isinstance(outputs, dict) else outputs
        # Members of mixed precision compute in half; their mean does not.
        shares.append(layers.Rescaling(member.weight, dtype="float32", name=f"share_of_{model.name}")(lone))
    (target,) = task.targets
    total = layers.Add(dtype="float32", name=target.name)(shares) if len(shares) > 1 else shares[0]
    return keras.Model(inputs, by_target({target.name: total}, task=task), name="ensemble")

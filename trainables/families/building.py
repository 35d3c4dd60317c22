"""A variant's Keras model, fresh or with the weights of a checkpoint, and the way in and out of its variables."""

import gc
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tensorflow.python import pywrap_tfe

from search_spaces import Variant
from trainables.catalog.families import FAMILIES, build_model
from trainables.checkpoints.checkpoint import Checkpoint
from trainables.errors import CheckpointError
from trainables.specs.pixels import PixelStatistics
from trainables.specs.task import Task
from trainables.steps.replicas import copies
from trainables.training.state import model_variables, validated_weights


def restored_model(
    variant: Variant,
    checkpoint: Checkpoint,
    *,
    task: Task,
    statistics: PixelStatistics | None = None,
    study_dir: str = "",
) -> Any:
    """Returns the variant's Keras model with the weights that were validated, not compiled.

    statistics: of the training split's pixels. study_dir: where relative names in the variant start.
    Raises: CheckpointError: if the checkpoint is not of this variant.
    """
    model = fresh_model(variant, task=task, statistics=statistics, study_dir=study_dir)
    assign(model_variables(model), validated_weights(checkpoint.state), variant=variant)
    return model


def assign(variables: Mapping[str, Any], state: Mapping[str, np.ndarray], *, variant: Variant) -> None:
    """Sets all variables, or none where the arrays are not theirs.

    Raises: CheckpointError: if they are not.
    """
    if variables.keys() != state.keys():
        raise CheckpointError(
            f"the checkpoint holds {len(state)} arrays, variant {variant.variant_id} has {len(variables)}"
        )
    for name, variable in variables.items():
        if tuple(variable.shape) != state[name].shape:
            raise CheckpointError(f"{name}: expected shape {tuple(variable.shape)}, got {state[name].shape}")
    for name, variable in variables.items():
        variable.assign(state[name])


def forget_models() -> None:
    """Frees the memory of all models that nothing holds any more, and what Keras remembers of them."""
    keras.utils.clear_session(free_memory=False)
    gc.collect()


@contextmanager
def _kernels_kept() -> Iterator[None]:
    """Lets TensorFlow keep the kernels that it has set up, which Keras has it drop with every session and seed.

    Among them are the optimized graphs of all traced trainings: each of those that begins again would cost as much as
    half a trace. Dropped with a seed are the places in their sequences of kernels that draw random numbers one after
    the other; models of families here have none, as their numbers follow from a counter.
    """
    clear = pywrap_tfe.TFE_ContextClearCaches
    pywrap_tfe.TFE_ContextClearCaches = _nothing
    try:
        yield
    finally:
        pywrap_tfe.TFE_ContextClearCaches = clear


def _nothing(_: Any) -> None:
    """Does nothing."""


def memory_of(variable: Any) -> np.ndarray:
    """Returns a variable's own memory as an array, which stays as it is; on a GPU a copy."""
    plain = copies(variable)[0] if isinstance(variable, keras.Variable) else variable
    # The operation itself: all that `read_value` does besides takes five times as long.
    return np.asarray(tf.raw_ops.ReadVariableOp(resource=plain.handle, dtype=plain.dtype))


def fresh_model(
    variant: Variant,
    *,
    task: Task,
    statistics: PixelStatistics | None,
    study_dir: str,
    scope: AbstractContextManager[Any] | None = None,
) -> keras.Model:
    """Returns the variant's Keras model as its seed begins it, not compiled."""
    # A worker trains many variants: nothing of the last one may reach this one, neither names nor seeds. Initial
    # weights and dropout draw from Keras's own generator, so it is seeded here, once, from the variant alone.
    has_users_code = FAMILIES[variant.family].has_own_parameters
    with nullcontext() if has_users_code else _kernels_kept():
        forget_models()
        keras.utils.set_random_seed(variant.seed & 0x7FFFFFFF)
    with scope or nullcontext():
        return build_model(variant, task=task, statistics=statistics, study_dir=study_dir)

"""A variant's Keras model, fresh or with the weights of a checkpoint, and the way in and out of its variables."""

import functools
import gc
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from search_spaces import Variant
from trainables.averaging import model_variables, validated_weights
from trainables.checkpoint import Checkpoint
from trainables.errors import CheckpointError
from trainables.families import build_model
from trainables.normalization import PixelStatistics
from trainables.replicas import copies
from trainables.task import Task


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
    _spare_libraries()
    keras.utils.clear_session(free_memory=False)
    gc.collect()


@functools.cache
def _spare_libraries() -> None:
    """Lets the garbage collector pass over all that is imported by now, which took it 0.3 s a time."""
    gc.collect()
    gc.freeze()


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
    forget_models()
    keras.utils.set_random_seed(variant.seed & 0x7FFFFFFF)
    with scope or nullcontext():
        return build_model(variant, task=task, statistics=statistics, study_dir=study_dir)

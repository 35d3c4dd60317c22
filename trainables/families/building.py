"""Builds a variant's Keras model, names the phases of its training, and frees models that are no longer used.

`_kernels_kept` replaces `pywrap_tfe.TFE_ContextClearCaches`, private in TensorFlow and seen in TensorFlow 2.21; a test
in tests/trainables/training/test_isolation.py sees it go.
"""

import gc
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from importlib import import_module
from typing import Any

import keras
from tensorflow.python import pywrap_tfe

from search_spaces import Variant
from trainables.catalog.families import FAMILIES
from trainables.families.parts.context import BuildContext
from trainables.families.parts.phases import Phase
from trainables.specs.pixels import PixelStatistics, pixel_scaling
from trainables.specs.task import Task

#: A collection takes 10 ms of a small model's 40: models that were built within so many seconds are freed together.
_COLLECTED_SECONDS = 1.0
#: Larger models are freed before the next one is built.
_MOST_LEFT = 1_000_000


class _Collector:
    """Knows when this process last looked for memory that nothing holds any more."""

    _at = -math.inf
    #: Numbers in the variables of the last model.
    num_numbers = 0

    def collect(self, *, at_once: bool) -> None:
        if at_once or self.num_numbers > _MOST_LEFT or time.monotonic() - self._at > _COLLECTED_SECONDS:
            gc.collect()
            self._at = time.monotonic()


_COLLECTOR = _Collector()


def forget_models(*, at_once: bool = True) -> None:
    """Frees the memory of all models that nothing holds any more, and what Keras remembers of them.

    Args:
        at_once: Whether small ones are looked for again within a second.
    """
    keras.utils.clear_session(free_memory=False)
    _COLLECTOR.collect(at_once=at_once)


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


def fresh_model(  # noqa: PLR0913 - what build_model takes, and where variables are made
    variant: Variant,
    *,
    task: Task,
    statistics: PixelStatistics | None,
    study_dir: str,
    scope: AbstractContextManager[Any] | None = None,
    may_ignore: bool = False,
) -> keras.Model:
    """Returns the variant's Keras model with the initial weights of its seed, not compiled."""
    # A worker trains many variants: neither names nor seeds of the last one may reach this one. Initial weights and
    # dropout draw from Keras's own generator, so this line seeds it, once, from the variant alone.
    has_users_code = FAMILIES[variant.family].has_own_parameters
    with nullcontext() if has_users_code else _kernels_kept():
        forget_models(at_once=False)
        keras.utils.set_random_seed(variant.seed & 0x7FFFFFFF)
    with scope or nullcontext():
        model = build_model(variant, task=task, statistics=statistics, study_dir=study_dir, may_ignore=may_ignore)
    _COLLECTOR.num_numbers = sum(math.prod(variable.shape) for variable in model.variables)
    return model


def build_model(
    variant: Variant,
    *,
    task: Task,
    statistics: PixelStatistics | None = None,
    study_dir: str = "",
    may_ignore: bool = False,
) -> Any:
    """Returns the variant's Keras model, built but not compiled.

    The model takes float32 images (batch, height, width, channels), values 0-255, and its outputs fit the task's
    targets.

    Args:
        statistics: The training split's; only a variant with normalization 'standardize' needs them.
        study_dir: The folder of the user's files; only families that read them need it.
        may_ignore: Whether a user's function may leave parameters of its own unread, as in a variant that was trained.

    Raises:
        InfeasibleError: If the variant does not fit images of this shape.
    """
    family = FAMILIES[variant.family]
    # Late: a family's module is imported in the process that trains it, never with FAMILIES.
    module = import_module(family.module)
    params = family.with_defaults(variant.params)
    context = BuildContext(
        pixel_scaling=pixel_scaling(params["normalization"], statistics),
        image_size=params["image_size"],
        study_dir=study_dir,
        own_parameters=family.own_parameters(variant.params),
        may_ignore=may_ignore,
    )
    with _precision(params["precision"]):
        return module.build(params, task=task, context=context)


@contextmanager
def _precision(policy: str) -> Iterator[None]:
    """Lets layers made meanwhile compute under one of Keras's dtype policies; the next variant's know nothing of it."""
    # Late, as above.
    import keras

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def phases_of(module: str, params: Mapping[str, Any]) -> Sequence[Phase]:
    """Returns the phases of a variant from its family's module; one phase for all epochs if the module defines none."""
    family = import_module(module)
    phases: Sequence[Phase] = family.phases(params) if hasattr(family, "phases") else (Phase(),)
    return phases

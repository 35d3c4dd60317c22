"""A user's Keras callbacks in a training: called as Keras's `fit` calls them, but for batches, which run compiled."""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import keras
import numpy as np
from keras.callbacks import Callback

from trainables.errors import UserCodeError
from trainables.families.parts.keras_internals import learning_rate_or_schedule, plain_optimizer
from trainables.own_code.callbacks import make_callbacks
from trainables.own_code.loading import guarded
from trainables.reports import EpochReport
from trainables.specs.worker import TrainingSpec
from trainables.training.state import memory_of


class TrainingCallbacks:
    """The callbacks of one training, made anew.

    Args:
        spec: Names the callbacks.
        model: The model that trains.
        num_steps: Batches an epoch.
        on_note: Takes what readers of the reports should know.

    Raises:
        UserCodeError: One is no callback, or has a method for batches.
    """

    def __init__(
        self, spec: TrainingSpec, *, model: keras.Model, num_steps: int, on_note: Callable[[str], None]
    ) -> None:
        self._own, self._model, self._on_note = spec.own_code, model, on_note
        self._names = spec.callbacks
        self._params = {"verbose": 0, "epochs": spec.max_epochs, "steps": num_steps}
        self._callbacks = self._made()
        self._has_begun = False
        #: Which callback ended the training; "": none.
        self._ended_by = ""
        #: The weights that validation saw, in the model's order; None: not known.
        self._validated: list[np.ndarray] | None = None

    def begin_epoch(self, epoch: int) -> None:
        """Calls what comes before an epoch's first step; epochs count from 1, in callbacks from 0."""
        if not self._has_begun:
            self._has_begun = True
            self._model.stop_training = False
            self._call("on_train_begin", {})
        self._validated = None
        self._call("on_epoch_begin", epoch - 1, {})

    def begin_test(self) -> None:
        """Calls what comes before validation."""
        self._call("on_test_begin", {})

    def end_epoch(self, report: EpochReport) -> EpochReport:
        """Calls what comes after validation, and returns the report, the last one where a callback ends the training.

        Raises:
            UserCodeError: A callback changes weights that were validated already.
        """
        if not self._callbacks:
            return report
        self._validated = self._weights()
        self._end(report)
        if self._ended_by and not report.is_last:
            return replace(report, is_last=True, reason=f"{self._ended_by} set model.stop_training")
        return report

    def end(self, report: EpochReport) -> None:
        """Calls what comes after the last epoch; weights that it changes are set back to those that were validated."""
        if not (self._callbacks and report.is_last):
            return
        before, self._validated = self._weights(), None
        self._call("on_train_end", dict(report.metrics))
        if not _same(before, self._weights()):
            for weight, value in zip(self._model.weights, before, strict=True):
                weight.assign(value)
            self._on_note(
                "on_train_end of a callback changed weights; those of the last epoch, as validated, were kept"
            )

    def replay(self, history: Sequence[EpochReport]) -> None:
        """Makes the callbacks anew, and calls all that was called in past epochs, with the reports' numbers."""
        self._callbacks, self._has_begun = self._made(), False
        for report in history:
            self.begin_epoch(report.epoch)
            self.begin_test()
            self._end(report)
        self._model.stop_training, self._ended_by = False, ""
        self._on_note(
            f"callbacks were made anew after epoch {len(history)}, and called with the reports of the epochs so far; "
            "what they kept of weights, files or time is lost"
        )

    def _made(self) -> list[tuple[str, Callback]]:
        callbacks = make_callbacks(self._names, self._own)
        for _, callback in callbacks:
            callback.set_params(dict(self._params))
            callback.set_model(self._model)
        return callbacks

    def _end(self, report: EpochReport) -> None:
        logs = dict(report.metrics)
        validated = {name.removeprefix("val_"): value for name, value in logs.items() if name.startswith("val_")}
        self._call("on_test_end", validated)
        self._call("on_epoch_end", report.epoch - 1, logs)

    def _call(self, method: str, *args: Any) -> None:
        for where, callback in self._callbacks:
            before = self._compiled()
            do, place = getattr(callback, method), f"{where}: {method}"
            guarded(functools.partial(do, *map(_copied, args)), where=place, own=self._own, takes=_TAKES[method])
            self._check(before, where=place)
            if self._model.stop_training and not self._ended_by:
                self._ended_by = where

    def _check(self, before: tuple[Any, Any], *, where: str) -> None:
        after = self._compiled()
        if after[0] is not before[0]:
            raise UserCodeError(
                f"{where} compiles the model anew or replaces its optimizer, but epochs are compiled with the old one; "
                "set model.optimizer.learning_rate, or space.params"
            )
        if after[1] is not before[1]:
            raise UserCodeError(
                f"{where} replaces the learning rate by a schedule, but epochs are compiled with the old one; set it "
                "to a number in each epoch, or use space.params.schedule"
            )
        if self._validated is not None and not _same(self._validated, self._weights()):
            raise UserCodeError(
                f"{where} changes weights after validation, so that checkpoint and export would have weights that "
                "nobody validated; change them in on_epoch_begin or on_test_begin"
            )

    def _compiled(self) -> tuple[Any, Any]:
        optimizer = self._model.optimizer
        return optimizer, learning_rate_or_schedule(plain_optimizer(optimizer))

    def _weights(self) -> list[np.ndarray]:
        return [memory_of(weight) for weight in self._model.weights]


def _copied(argument: Any) -> Any:
    return dict(argument) if isinstance(argument, Mapping) else argument


def _same(left: Sequence[np.ndarray], right: Sequence[np.ndarray]) -> bool:
    # TensorFlow never writes into memory that an array still holds.
    pairs = zip(left, right, strict=True)
    return all(old is new or np.shares_memory(old, new) or np.array_equal(old, new) for old, new in pairs)


_TAKES = {
    "on_train_begin": "(logs=None)",
    "on_train_end": "(logs=None)",
    "on_epoch_begin": "(epoch, logs=None)",
    "on_epoch_end": "(epoch, logs=None)",
    "on_test_begin": "(logs=None)",
    "on_test_end": "(logs=None)",
}

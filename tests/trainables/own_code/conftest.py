"""Trainings with losses, metrics and callbacks of a user's, and what Keras's own `fit` makes of the same."""

from dataclasses import dataclass, replace

import keras
import numpy as np
import pytest

from search_spaces import Variant
from trainables.data.batches.tensors import epoch_order
from trainables.families.building import build_model
from trainables.specs.augment import AugmentSpec
from trainables.specs.worker import TrainingSpec
from trainables.training.training import Training, TrainingRequest
from trainables.user_code import forget_modules, importable

#: Without dropout and batch normalisation, which `fit` computes with other graphs.
PARAMS = {"num_blocks": 1, "filters": 4, "batch_norm": False, "dropout": 0.0, "batch_size": 32}


@dataclass(frozen=True, kw_only=True)
class Own:
    """A training, the notes of it, and its folder of modules."""

    training: Training
    notes: list[str]
    folder: object

    def fitted(self, *, epochs, loss, metrics=(), callbacks=(), optimizer=None, class_weights=None):
        """The epochs of Keras's own fit on the same batches, as reports have them."""
        data, variant = self.training._data, self.training.variant
        keras.utils.set_random_seed(variant.seed)
        model = build_model(variant, task=data.task, study_dir=str(self.folder))
        model.compile(optimizer or keras.optimizers.Adam(1e-3), loss=loss, metrics=["accuracy", *metrics])
        images, labels = np.asarray(data.train.images, np.float32), np.asarray(data.train.labels["label"])
        held_out = np.asarray(data.validation.indices)
        history = model.fit(
            batches(data, variant, epochs=epochs, weights=class_weights),
            epochs=epochs,
            steps_per_epoch=-(-data.train.num_images // 32),
            shuffle=False,
            verbose=0,
            callbacks=list(callbacks),
            validation_data=(images[held_out], labels[held_out]),
            validation_batch_size=256,
        ).history
        return [dict(zip(history, values, strict=True)) for values in zip(*history.values(), strict=True)]


def _without_none(params):
    return {name: value for name, value in params.items() if value is not None}


def batches(data, variant, *, epochs, weights):
    """Yields the batches of all epochs, each epoch in its own order."""
    images, labels = np.asarray(data.train.images, np.float32), np.asarray(data.train.labels["label"])
    for epoch in range(1, epochs + 1):
        order = epoch_order(data.train.indices, seed=variant.seed, epoch=epoch)
        for begin in range(0, len(order), 32):
            rows = order[begin : begin + 32]
            data_of_rows = (images[rows], labels[rows])
            yield data_of_rows if weights is None else (*data_of_rows, weights[labels[rows]])


@pytest.fixture
def own(tmp_path, splits, task, one_thread):
    """Makes a training with the code in own.py: `own(code, loss="own:focal", metrics=["accuracy"])`."""

    def make(
        code, *, loss=None, metrics=("accuracy",), family="sequential", augment=None, spec=None, params=None, **more
    ):
        (tmp_path / "own.py").write_text("import keras\nfrom keras import ops\n" + code, encoding="utf-8")
        (target,) = task.targets
        target = replace(target, metrics=tuple(metrics), loss=loss or target.loss)
        notes = []
        settings = {"max_epochs": 9, "metric": "val_loss", "mode": "min", "study_dir": str(tmp_path), **(spec or {})}
        request = TrainingRequest(
            variant=Variant(family=family, params=_without_none(PARAMS | more | (params or {})), seed=7),
            train=splits[0],
            validation=splits[1],
            task=replace(task, targets=(target,)),
            spec=TrainingSpec(augment=augment or AugmentSpec(), **settings),
            on_note=notes.append,
            on_callback_note=notes.append,
        )
        return Own(training=Training(request), notes=notes, folder=tmp_path)

    return make


@pytest.fixture
def module(tmp_path):
    """Imports own.py once more, for Keras alone."""

    def load():
        import importlib

        forget_modules(tmp_path)
        with importable(tmp_path):
            return importlib.import_module("own")

    return load

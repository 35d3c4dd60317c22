"""Callbacks of a user's: called as Keras's `fit` calls them, and again for past epochs where a trial goes on."""

import pytest

from trainables.errors import UserCodeError

CALLBACKS = """
told = []

class Telling(keras.callbacks.Callback):
    def on_train_begin(self, logs=None): self.tell("train begin", sorted(logs))
    def on_train_end(self, logs=None): self.tell("train end", logs)
    def on_epoch_begin(self, epoch, logs=None): self.tell("epoch begin", epoch)
    def on_epoch_end(self, epoch, logs=None): self.tell("epoch end", epoch, logs)
    def on_test_begin(self, logs=None): self.tell("test begin")
    def on_test_end(self, logs=None): self.tell("test end", logs)
    def tell(self, *what):
        told.append((*what, self.params["epochs"], self.params["steps"], type(self.model).__name__))

class Halving(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        self.model.optimizer.learning_rate = 0.01 * 0.5 ** epoch

class OnPlateau(keras.callbacks.ReduceLROnPlateau):
    def __init__(self):
        super().__init__(monitor="val_loss", factor=0.5, patience=1, min_delta=10.0)

def stopping():
    return keras.callbacks.EarlyStopping(monitor="val_loss", patience=2, min_delta=10.0, restore_best_weights=True)

class Swapping(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        self.model.set_weights([0.5 * weight for weight in self.model.get_weights()])

class Shrinking(keras.callbacks.Callback):
    def on_test_begin(self, logs=None):
        self.model.set_weights([0.5 * weight for weight in self.model.get_weights()])

class Scheduling(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        self.model.optimizer.learning_rate = keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.9)

class Compiling(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        self.model.compile("sgd", "sparse_categorical_crossentropy")

class Inheriting(keras.callbacks.TerminateOnNaN):
    pass

def with_a_function():
    return keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: None)

class Wrong(keras.callbacks.Callback):
    def on_epoch_end(self, epoch): ...

class Broken(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        return logs["val_f1"]

class Plain: ...
"""


def with_callbacks(own, *names, max_epochs=3, **params):
    spec = {"callbacks": tuple(f"own:{name}" for name in names), "max_epochs": max_epochs}
    return own(CALLBACKS, spec=spec, params=params)


def test_callbacks_are_called_as_fit_calls_them(own, module):
    run = with_callbacks(own, "Telling")
    code = module()
    run.fitted(epochs=3, loss="sparse_categorical_crossentropy", callbacks=[code.Telling()])
    expected, reports = code.told, list(run.training.epochs())
    told = run.training._callbacks._callbacks[0][1].on_train_begin.__globals__["told"]
    assert [entry[0] for entry in told] == [entry[0] for entry in expected]
    for ours, theirs in zip(told, expected, strict=True):
        # Of `fit`, fed by a generator, steps are not known before its second epoch.
        assert ours[-3:] == (3, 4, theirs[-1])
        for mine, keras_own in zip(ours[1:-3], theirs[1:-3], strict=True):
            assert mine == (pytest.approx(keras_own, abs=1e-5) if isinstance(mine, dict) else keras_own)
    assert told[-2][2] == reports[-1].metrics


def test_a_learning_rate_that_a_callback_sets_is_trained_with_as_in_fit(own, module):
    run = with_callbacks(own, "Halving")
    for epoch in run.fitted(epochs=3, loss="sparse_categorical_crossentropy", callbacks=[module().Halving()]):
        assert run.training.run_epoch().metrics == pytest.approx(epoch, abs=1e-5)


def test_stop_training_ends_the_trial_with_a_reason(own):
    run = with_callbacks(own, "stopping", max_epochs=9)
    reports = list(run.training.epochs())
    assert [report.is_last for report in reports] == [False, False, True]
    assert reports[-1].reason == "callback 'own:stopping' set model.stop_training"
    assert run.notes == ["on_train_end of a callback changed weights; those of the last epoch, as validated, were kept"]


@pytest.mark.parametrize("name", ["OnPlateau", "Halving", "stopping"])
def test_a_trial_that_goes_on_equals_one_that_was_never_interrupted(own, same_state, name):
    whole = with_callbacks(own, name, max_epochs=4).training
    reports = [whole.run_epoch() for _ in range(2)]
    state = whole.state()
    third = whole.run_epoch()
    resumed = with_callbacks(own, name, max_epochs=4)
    resumed.training.load_state(state, history=reports)
    again = resumed.training.run_epoch()
    assert (again.metrics, again.is_last, again.reason) == (third.metrics, third.is_last, third.reason)
    same_state(resumed.training.state(), whole.state())
    assert resumed.notes[0].startswith("callbacks were made anew after epoch 2, and called with the reports")


def test_weights_that_change_before_validation_are_validated_and_kept(own):
    run = with_callbacks(own, "Shrinking").training
    plain = with_callbacks(own).training
    shrunk, whole = run.run_epoch(), plain.run_epoch()
    assert shrunk.metrics["loss"] == whole.metrics["loss"]
    assert shrunk.metrics["val_loss"] != whole.metrics["val_loss"]
    halves = [0.5 * weight for weight in plain.model.get_weights()]
    assert all((half == weight).all() for half, weight in zip(halves, run.model.get_weights(), strict=True))


REFUSED = {
    "Swapping": "callback 'own:Swapping': on_epoch_end changes weights after validation, so that checkpoint and export",
    "Scheduling": "callback 'own:Scheduling': on_epoch_end replaces the learning rate by a schedule",
    "Compiling": "callback 'own:Compiling': on_epoch_begin compiles the model anew or replaces its optimizer",
    "Inheriting": "callback 'own:Inheriting': has on_batch_end, but an epoch runs compiled as a whole",
    "with_a_function": "callback 'own:with_a_function': has on_train_batch_end, but an epoch runs compiled as a whole",
    "Wrong": "callback 'own:Wrong': on_epoch_end: must take (epoch, logs=None): ",
    "Plain": "callback 'own:Plain': expected a class of keras.callbacks.Callback, or a function without arguments",
}


@pytest.mark.parametrize(("name", "message"), REFUSED.items())
def test_what_compiled_epochs_cannot_heed_is_refused(own, name, message):
    with pytest.raises(UserCodeError) as caught:
        with_callbacks(own, name).training.run_epoch()
    assert message in str(caught.value)


def test_a_rate_of_a_schedule_cannot_be_set(own):
    with pytest.raises(TypeError, match="its learning rate is not settable"):
        with_callbacks(own, "Halving", schedule="cosine").training.run_epoch()


def test_a_trial_with_callbacks_is_no_trace_for_others(own):
    run = with_callbacks(own, "Halving").training
    plain = with_callbacks(own).training
    for training in (run, plain):
        training.run_epoch()
    assert (run.is_reusable, plain.is_reusable) == (False, True)

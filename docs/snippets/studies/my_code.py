import keras
from keras import ops


def focal(y_true, y_pred):
    """Returns the loss of each image: class numbers (batch,), probabilities (batch, classes)."""
    probability = ops.take_along_axis(y_pred, ops.cast(y_true, "int32")[:, None], axis=-1)[:, 0]
    return -ops.square(1 - probability) * ops.log(probability + 1e-7)


def sureness(y_true, y_pred):
    return ops.max(y_pred, axis=-1)


class Halving(keras.callbacks.Callback):
    """Halves the learning rate after every third epoch."""

    def on_epoch_end(self, epoch, logs=None):
        if epoch % 3 == 2:
            self.model.optimizer.learning_rate = self.model.optimizer.learning_rate * 0.5

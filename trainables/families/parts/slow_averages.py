"""Batch normalisation whose running averages still are what they began with when a trial is first judged."""

import keras

from trainables.families.parts.keras_internals import all_layers

#: The share of their first values from which averages count as not yet of the images.
_STALE_SHARE = 0.1
#: The momentum that convfleet's own families have; averages that follow sooner follow few images.
_QUICK = 0.9


def slow_averages(model: keras.Model, *, num_steps: int) -> str:
    """Returns that a model's averages are too slow for so many steps, as a sentence; an empty text if they are not.

    Keras's momentum of 0.99 keeps 0.99^steps of the mean 0 and the variance 1 that averages begin with. Layers that do
    not learn keep the averages that they have, and do not count.

    Args:
        num_steps: Training steps until the trial is judged for the first time.
    """
    momenta = [
        float(layer.momentum)
        for layer in all_layers(model)
        if isinstance(layer, keras.layers.BatchNormalization) and layer.trainable
    ]
    momentum = max(momenta, default=0.0)
    share = momentum**num_steps
    if momentum <= _QUICK or share <= _STALE_SHARE:
        return ""
    return (
        f"batch normalisation has a momentum of {momentum:g}: after the {num_steps:,} steps until a trial is first "
        f"judged, its averages still are {share:.0%} what they began with, and validation may be near chance; use "
        f"layers.BatchNormalization(momentum={_QUICK}), a smaller batch_size, or more schedule.grace_epochs"
    )

"""The running average of a model's weights (Keras's `use_ema`): validated, exported, and never trained from.

Keras keeps the averages among the optimizer's variables, average = m x average + (1 - m) x weight after each batch,
beginning with the first batch's weights. What is not trained, such as the statistics of batch normalisation, is taken
as it is.

Source: Polyak and Juditsky 1992, "Acceleration of Stochastic Approximation by Averaging"; exponential as in Szegedy et
al. 2016, arXiv:1512.00567, section 8.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

#: Prefixes of array names in a training's state.
MODEL, AVERAGE, OPTIMIZER = "model/", "average/", "optimizer/"


def state_variables(model: Any) -> dict[str, Any]:
    """Returns every variable that the next step of a compiled model depends on, by name.

    `average/0003` is the average of `model/0003`. Keras counts a layer's random seed state among the model's variables.
    """
    averages = _averages(model)
    others = [variable for variable in model.optimizer.variables if id(variable) not in set(map(id, averages.values()))]
    return model_variables(model) | averages | {f"{OPTIMIZER}{number:04d}": v for number, v in enumerate(others)}


def model_variables(model: Any) -> dict[str, Any]:
    """Returns the model's own variables by name."""
    return {f"{MODEL}{number:04d}": variable for number, variable in enumerate(model.variables)}


def validated_weights(state: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Returns the model's arrays of a state as validation saw them: averages where there are any.

    >>> state = {"model/0000": np.zeros(1), "model/0001": np.zeros(1), "average/0001": np.ones(1)}
    >>> {name: float(array[0]) for name, array in validated_weights(state).items()}
    {'model/0000': 0.0, 'model/0001': 1.0}
    """
    names = [name for name in state if name.startswith(MODEL)]
    return {name: state.get(AVERAGE + name.removeprefix(MODEL), state[name]) for name in names}


@contextmanager
def averaged(model: Any) -> Iterator[None]:
    """Gives the model its averaged weights for a while; without averages it stays as it is."""
    averages, weights = _averages(model), model_variables(model)
    places = {name: weights[MODEL + name.removeprefix(AVERAGE)] for name in averages}
    trained = {name: weight.numpy() for name, weight in places.items()}
    try:
        for name, weight in places.items():
            weight.assign(averages[name].numpy())
        yield
    finally:
        for name, weight in places.items():
            weight.assign(trained[name])


def _averages(model: Any) -> dict[str, Any]:
    # Under mixed_float16 Keras wraps the optimizer in one that scales the loss.
    optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    if not optimizer.use_ema:
        return {}
    numbers = {id(variable): number for number, variable in enumerate(model.variables)}
    # Private in Keras, which offers only to overwrite the weights for good; the tests would see it go.
    pairs = zip(optimizer._trainable_variables, optimizer._model_variables_moving_average, strict=True)
    return {f"{AVERAGE}{numbers[id(weight)]:04d}": average for weight, average in pairs if average is not None}

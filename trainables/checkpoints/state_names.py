"""The names of arrays in a checkpoint's state, and which of them are the weights that validation saw."""

from collections.abc import Mapping

import numpy as np

#: Prefixes of array names in a training's state.
MODEL, AVERAGE, OPTIMIZER, UNTRACKED = "model/", "average/", "optimizer/", "untracked/"
#: Before the same names of a further split's state: `repeat/0002/model/0000`.
REPEAT = "repeat/"


def validated_weights(state: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Returns the model's arrays of a state as validation used them: their averages if the state has averages.

    >>> state = {"model/0000": np.zeros(1), "model/0001": np.zeros(1), "average/0001": np.ones(1)}
    >>> {name: float(array[0]) for name, array in validated_weights(state).items()}
    {'model/0000': 0.0, 'model/0001': 1.0}
    """
    names = [name for name in state if name.startswith(MODEL)]
    return {name: state.get(AVERAGE + name.removeprefix(MODEL), state[name]) for name in names}

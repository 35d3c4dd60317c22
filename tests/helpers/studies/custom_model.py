"""A model of one's own for a study of the family `custom`: copy this file and custom.yaml, then change them.

A study file names the function: `space: {family: custom, params: {function: "custom_model:build", ...}}`. All other
parameters that are none of the training's are yours; they arrive as `params`, with the values of one variant.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import layers


@keras.saving.register_keras_serializable(package="custom_model")
class GatedBlock(keras.Model):
    """A convolution whose features are gated by another one.

    Source: Dauphin et al. 2016, "Language Modeling with Gated Convolutional Networks", arXiv:1612.08083.

    Args:
        filters: Of both convolutions.
        options: Of every Keras model.
    """

    def __init__(self, filters: int, **options: Any) -> None:
        super().__init__(**options)
        self.filters = filters
        self.features = layers.Conv2D(filters, 3, padding="same", use_bias=False)
        self.gate = layers.Conv2D(filters, 3, padding="same", activation="sigmoid")
        self.normalisation = layers.BatchNormalization(momentum=0.9)

    def get_config(self) -> dict[str, Any]:
        """Returns what makes an equal block; Keras asks for it when a model is saved."""
        return {**super().get_config(), "filters": self.filters}

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Returns features (batch, height, width, filters)."""
        return self.normalisation(self.features(inputs), training=training) * self.gate(inputs)


def build(params: Mapping[str, Any], input_shape: tuple[int, int, int], targets: Sequence[Any]) -> keras.Model:
    """Returns a model for images (height, width, channels) of 0-255 and one target.

    params: `width`, `depth` and `dropout`. targets: what `trainables.task.Target` describes, here one of any kind.
    Raise `trainables.errors.InfeasibleError("why; use ...")` to refuse a variant in words.
    """
    (target,) = targets
    width, depth = params.get("width", 16), params.get("depth", 2)
    image = keras.Input(input_shape, name="image")
    features = layers.Rescaling(1 / 255, name="scale")(image)
    for block in range(depth):
        features = GatedBlock(width * 2**block)(features)
        features = layers.MaxPooling2D(2, padding="same")(features)
    features = layers.Dropout(params.get("dropout", 0.0))(layers.GlobalAveragePooling2D()(features))
    # Probabilities of classes add up to 1; a target of another kind needs sigmoid (multilabel) or linear (regression).
    activation = {"classification": "softmax", "multilabel": "sigmoid", "regression": "linear"}[target.kind]
    return keras.Model(image, layers.Dense(target.size, activation=activation, dtype="float32")(features))

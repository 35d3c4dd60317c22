"""The family `subclassed`: a subclass of keras.Model whose layers are made at run time, with its own train_step.

After half of the blocks, a second classifier learns the same labels, so that early blocks get their own gradients. It
is used in training only. Sources: Szegedy et al. 2014, "Going Deeper with Convolutions", arXiv:1409.4842, section 5,
for the
auxiliary classifier and its weight of 0.3; Lee et al. 2014, "Deeply-Supervised Nets", arXiv:1409.5185.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

import keras
import tensorflow as tf
from keras import layers

from trainables.errors import InfeasibleError
from trainables.families.parts.blocks import (
    POOL_WINDOW,
    convolution,
    filters_of,
    halvings_of,
    head_dropout,
    l2_penalty,
    norm_activation,
    output_layer,
    pooling_layer,
    without_penalties,
)
from trainables.families.parts.context import BuildContext
from trainables.families.parts.shrinking import at_network_size
from trainables.specs.network_size import network_shape
from trainables.specs.pixels import PixelScaling
from trainables.specs.task import Target, Task

#: With num_blocks 0, images are halved while at least this many pixels a side remain.
_SMALLEST_SIDE = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """The architecture of one network of this family (see `trainables.catalog.subclassed`).

    Args:
        num_blocks: The number of blocks; 0: as many as the image's size allows.
        filters: The filters of the first block.
        filters_growth: The factor on filters from one block to the next.
        kernel_size: The side of all kernels.
        activation: The activation after every convolution.
        batch_norm: Whether convolutions are normalised.
        dropout: The rate of dropout before each classifier.
        l2: The L2 penalty on kernels.
        auxiliary_weight: The weight of the second classifier's loss.
        image_size: The longer side of the images that the blocks work on; 0: the data's.
    """

    num_blocks: int
    filters: int
    filters_growth: float
    kernel_size: int
    activation: str
    batch_norm: bool
    dropout: float
    l2: float
    auxiliary_weight: float
    image_size: int = 0


@keras.saving.register_keras_serializable(package="convfleet")
class DeeplySupervised(keras.Model):
    """Blocks of convolutions with a classifier at the end and, in training, a second one after half of the blocks.

    Args:
        design: The architecture, or the mapping that `get_config` made of one.
        target: The target, or its mapping from `get_config`.
        scaling: The scaling of pixels 0-255, or its mapping from `get_config`.
        options: The options of every Keras model: name, dtype and so on.
    """

    def __init__(
        self,
        *,
        design: Design | Mapping[str, Any],
        target: Target | Mapping[str, Any],
        scaling: PixelScaling | Mapping[str, Any],
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.design = design if isinstance(design, Design) else Design(**design)
        self.target = target if isinstance(target, Target) else Target.from_json(target)
        self.scaling = scaling if isinstance(scaling, PixelScaling) else PixelScaling(**scaling)

    def get_config(self) -> dict[str, Any]:
        """Returns the mapping from which `from_config` makes an equal model."""
        parts = {"design": asdict(self.design), "target": asdict(self.target), "scaling": asdict(self.scaling)}
        return {**super().get_config(), **parts}

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Any = None) -> Self:
        """Returns the model that `get_config` described, without weights."""
        return cls(**config)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Makes the layers; their number and size follow from the image's size."""
        design = self.design
        height, width, channels = (int(side or 0) for side in input_shape[1:])
        shape = network_shape((height, width, channels), image_size=design.image_size)
        count = num_blocks_of(design.num_blocks, size=shape[:2])
        self.scale = layers.Rescaling(self.scaling.scale, offset=self.scaling.offset, dtype="float32", name="scale")
        self.blocks = [_block(design, position=position) for position in range(count)]
        self.classifier = _classifier(design, self.target, name="classifier")
        # `shapes[n]` is the input shape of block n; the last one is the classifier's.
        shapes: list[tuple[int | None, ...]] = [(None, *shape)]
        for block in self.blocks:
            block.build(shapes[-1])
            shapes.append(block.compute_output_shape(shapes[-1]))
        self.classifier.build(shapes[-1])
        self.auxiliary = None
        if design.auxiliary_weight:
            # Last, so that all other layers begin with the same weights with or without it.
            self.auxiliary = _classifier(design, self.target, name="auxiliary")
            self.auxiliary.build(shapes[self._branching])

    @property
    def _branching(self) -> int:
        """The number of blocks before the second classifier."""
        return len(self.blocks) // 2

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Returns the predictions (batch, size) for images (batch, height, width, channels) of 0-255."""
        return self._classified(inputs, training=training)[0]

    def train_step(self, data: Any) -> dict[str, Any]:
        """Updates the weights from one batch, with the losses of both classifiers, and returns the metrics so far."""
        inputs, labels, weights = keras.utils.unpack_x_y_sample_weight(data)
        with tf.GradientTape() as tape:
            predictions, auxiliary = self._classified(inputs, training=True)
            loss = self.compute_loss(inputs, labels, predictions, weights, training=True)
            if auxiliary is not None:
                # The penalties on weights are in the first loss already.
                with without_penalties(self):
                    second = self.compute_loss(inputs, labels, auxiliary, weights, training=True)
                loss += self.design.auxiliary_weight * second
            # Half precision needs gradients of a larger loss; the optimizer divides them by the factor.
            scaled = self.optimizer.scale_loss(loss)
        variables = self.trainable_variables
        self.optimizer.apply_gradients(zip(tape.gradient(scaled, variables), variables, strict=True))
        for metric in self.metrics:
            if metric.name == "loss":
                # A mean over images, not over batches: the last batch of an epoch may be smaller.
                metric.update_state(loss, sample_weight=tf.shape(predictions)[0])
        return dict(self.compute_metrics(inputs, labels, predictions, weights))

    def _classified(self, inputs: Any, *, training: bool | None) -> tuple[Any, Any]:
        """Returns the predictions of both classifiers; None for the second one where it is not used."""
        features, auxiliary = self.scale(at_network_size(inputs, image_size=self.design.image_size)), None
        for position, block in enumerate(self.blocks, start=1):
            features = block(features, training=training)
            if training and self.auxiliary is not None and position == self._branching:
                auxiliary = self.auxiliary(features, training=training)
        return self.classifier(features, training=training), auxiliary


def build(params: Mapping[str, Any], *, task: Task, context: BuildContext) -> keras.Model:
    """Returns the model of a complete set of parameters (see `trainables.catalog.subclassed`).

    Raises:
        InfeasibleError: If the image is too small for the number of blocks, or there are too few blocks for a second
            classifier.
    """
    design = Design(**{name: params[name] for name in Design.__dataclass_fields__})
    _check(design, size=network_shape(task.input_shape, image_size=design.image_size)[:2])
    model = DeeplySupervised(design=design, target=task.targets[0], scaling=context.pixel_scaling, name="subclassed")
    # Called once, so that a subclassed model has layers, weights and a signature like a functional one.
    model(keras.Input(shape=task.input_shape, name="image"))
    return model


def num_blocks_of(num_blocks: int, *, size: tuple[int, int]) -> int:
    """Returns the number of blocks for images of (height, width).

    >>> [num_blocks_of(0, size=(side, side)) for side in (3, 8, 28, 32)], num_blocks_of(2, size=(32, 32))
    ([1, 2, 3, 4], 2)
    """
    if num_blocks:
        return num_blocks
    halvings = 0
    while min(size) // POOL_WINDOW ** (halvings + 1) >= _SMALLEST_SIDE:
        halvings += 1
    return halvings + 1


def _block(design: Design, *, position: int) -> keras.Sequential:
    """Returns a block; each but the first halves height and width before it."""
    pooling = [pooling_layer("max", padding="valid")] if position else []
    return keras.Sequential(
        [
            *pooling,
            convolution(
                filters_of(position, first=design.filters, growth=design.filters_growth),
                design.kernel_size,
                use_bias=not design.batch_norm,
                activation=design.activation,
                l2=design.l2,
            ),
            *norm_activation(batch_norm=design.batch_norm, activation=design.activation),
        ],
        name=f"block_{position + 1}",
    )


def _classifier(design: Design, target: Target, *, name: str) -> keras.Sequential:
    """Returns a global average, dropout if asked for, and an output of the target's kind."""
    output = output_layer(target, penalty=l2_penalty(design.l2))
    return keras.Sequential([layers.GlobalAveragePooling2D(), *head_dropout(design.dropout), output], name=name)


def _check(design: Design, *, size: tuple[int, int]) -> None:
    count = num_blocks_of(design.num_blocks, size=size)
    halvings = halvings_of(size)
    if count - 1 > halvings:
        raise InfeasibleError(
            f"{count} blocks halve the image {count - 1} times, but images of {size[0]}x{size[1]} can be halved at "
            f"most {halvings} times; use at most {halvings + 1} blocks, or num_blocks 0 for as many as fit"
        )
    if design.auxiliary_weight and count < 2:
        raise InfeasibleError(
            f"the auxiliary classifier stands half-way up, but there is only {count} block for images of "
            f"{size[0]}x{size[1]}; use at least 2 blocks, or auxiliary_weight 0"
        )

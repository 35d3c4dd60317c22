"""Mixup and cutmix: each image with another one, both labels counting by their share.

Source: Zhang et al. 2017, arXiv:1710.09412; Yun et al. 2019, arXiv:1905.04899, algorithm 1. Their partner is another
image of the same batch; here it is another training image drawn for each image index, so that batches play no part.
"""

from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from trainables.data.augment.amounts import boxes_around
from trainables.data.augment.draws import Draws
from trainables.data.augment.pixels import inside
from trainables.specs.augment import AugmentSpec

_PARTNER_STREAM, _MIXUP_STREAM, _CUTMIX_STREAM, _BOX_STREAM, _CHOICE_STREAM = range(11, 16)

#: By name, each with one row an image: `partners`: int32 (rows,), the row of the other image; `weights`: float32
#: (rows,), the share of the image's own label; `blend`: float32 (rows,), the share of its own pixels; `boxes`: int32
#: (rows, 4), where the other image's pixels are put.
Mixtures = Mapping[str, tf.Tensor]


def mixtures_of(spec: AugmentSpec, *, draws: Draws, indices: np.ndarray, size: tuple[int, int]) -> Mixtures:
    """Returns each row's partner and how the two are mixed; an empty mapping without mixup and cutmix.

    Args:
        indices: The rows of the training split; all partners are among them.
    """
    if not spec.mixup and not spec.cutmix:
        return {}
    partners = _partners(draws, indices=indices)
    if not spec.cutmix:
        share = draws.beta(_MIXUP_STREAM, alpha=spec.mixup)
        return {"partners": partners, "weights": share, "blend": share}
    boxes, rest = _patches(draws, alpha=spec.cutmix, size=size)
    if not spec.mixup:
        return {"partners": partners, "weights": rest, "boxes": boxes}
    share = draws.beta(_MIXUP_STREAM, alpha=spec.mixup)
    is_mixup = draws.uniform(_CHOICE_STREAM, count=1)[:, 0] < 0.5
    return {
        "partners": partners,
        "weights": tf.where(is_mixup, share, rest),
        "blend": tf.where(is_mixup, share, 1.0),
        "boxes": tf.where(is_mixup[:, None], 0, boxes),
    }


def mixed(images: tf.Tensor, others: tf.Tensor, mixtures: Mixtures) -> tf.Tensor:
    """Returns images mixed with their partners' pixels; `mixtures` has one row for each of these images."""
    if "blend" in mixtures:
        share = mixtures["blend"][:, None, None, None]
        images = images * share + others * (1.0 - share)
    if "boxes" in mixtures:
        images = tf.where(inside(mixtures["boxes"], images), others, images)
    return images


def weighed(share: tf.Tensor, own: tf.Tensor, others: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the share of each image's own label in the loss of a mixed image, and the mixed image's weight.

    Each label counts by its own image's weight, so that a label of weight 0 is never learned from: an image of weight w
    that is mixed by the share s with one of weight v weighs s w + (1 - s) v, of which its own label has s w.

    Args:
        share: The share of the own label where all images count alike.
        own: The images' weights.
        others: The partners' weights.
    """
    counted = share * own
    total = counted + (1.0 - share) * others
    return tf.math.divide_no_nan(counted, total), total


def _partners(draws: Draws, *, indices: np.ndarray) -> tf.Tensor:
    """Returns for each row another row of the split, all equally likely; a lone image is its own partner."""
    if len(indices) < 2:
        return tf.fill(tf.shape(draws.base())[:1], tf.constant(indices[0], tf.int32))
    steps = 1 + draws.whole(_PARTNER_STREAM, below=len(indices) - 1)
    places = np.zeros(steps.shape[0], np.int32)
    places[indices] = np.arange(len(indices))
    return tf.gather(tf.constant(indices, tf.int32), (steps + places) % len(indices))


def _patches(draws: Draws, *, alpha: float, size: tuple[int, int]) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns boxes and the share of the image outside them, float32 (rows,)."""
    side = tf.sqrt(1.0 - draws.beta(_CUTMIX_STREAM, alpha=alpha))
    heights, widths = (tf.cast(tf.floor(side * length), tf.int32) for length in size)
    boxes = boxes_around(draws.uniform(_BOX_STREAM, count=2), heights=heights, widths=widths, size=size)
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    return boxes, 1.0 - tf.cast(area, tf.float32) / (size[0] * size[1])

"""A variant of every family with all that the family can, and images of any shape."""

import numpy as np

#: Everything a family has beyond its defaults, at once.
RICH = {
    "sequential": {
        "num_blocks": 2,
        "convs_per_block": 2,
        "filters": (16, 24),
        "kernel_size": (3, 2),
        "separable": True,
        "spatial_dropout": 0.1,
        "head": "global_average",
        "dense_units": 16,
        "l2": 1e-4,
        "dropout": 0.1,
    },
    "residual": {
        "block": "bottleneck",
        "num_stages": 2,
        "filters": 4,
        "pre_activation": True,
        "squeeze_excite": 4,
        "stochastic_depth": 0.2,
        "dropout": 0.1,
    },
    "functional": {
        "num_modules": 3,
        "pool_every": 2,
        "branch_kernels": (1, 3, 3),
        "filters": 9,
        "merge": "concatenate",
        "skip": "concatenate",
        "shared": True,
        "dropout": 0.1,
    },
    "multitask": {
        "trunk": "residual",
        "num_blocks": 3,
        "filters": 6,
        "head": "flatten",
        "shared_trunk": False,
        "head_units": 16,
        "dropout": 0.1,
    },
    "subclassed": {
        "num_blocks": 3,
        "filters": 12,
        "kernel_size": 5,
        "l2": 1e-4,
        "dropout": 0.1,
        "auxiliary_weight": 0.4,
    },
    "unet": {
        "depth": 2,
        "convs_per_level": 1,
        "filters": 6,
        "kernel_size": 5,
        "upsampling": "bilinear",
        "activation": "elu",
        "dropout": 0.1,
    },
    "custom": {"function": "custom_model:build", "width": 12, "depth": 2, "dropout": 0.1},
    "keras_tuner": {
        "function": "small_hypermodel:build",
        "num_blocks": 2,
        "filters_0": 4,
        "filters_1": 12,
        "dropout": 0.1,
        "learning_rate": 0.01,
    },
    "transfer": {
        "backbone": "MobileNet",
        "alpha": 0.1,
        "image_side": 32,
        "batch_norm_momentum": 0.8,
        "head": "flatten",
        "dense_units": 16,
        "dropout": 0.1,
        "frozen_epochs": 1,
        "fine_tune_from": 0.9,
        "fine_tune_learning_rate_share": 0.5,
        "freeze_batch_norm": True,
        "normalization": "backbone",
    },
}


def images_of(shape, *, count=3, seed=0):
    """Returns float32 images (count, *shape) of noise, 0 to 255."""
    return np.random.default_rng(seed).integers(0, 256, (count, *shape)).astype(np.float32)

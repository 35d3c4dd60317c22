"""Lists the parameters of a variant's training, for every family."""

from collections.abc import Mapping
from typing import Any

from trainables.catalog.parameter import ParameterInfo
from trainables.specs.pixels import NORMALIZATIONS

OPTIMIZERS = (
    "adam",
    "adamw",
    "sgd",
    "rmsprop",
    "nadam",
    "adamax",
    "adagrad",
    "adadelta",
    "adafactor",
    "lamb",
    "lion",
)
SCHEDULES = ("constant", "cosine", "step", "exponential", "one_cycle")
#: Values of `loss`, and of `optimizer` under a family that runs a user's code.
TARGETS, MODEL = "targets", "model"
CLASS_WEIGHTS = ("none", "balanced", TARGETS)
#: Keras's dtype policies: what layers compute in; weights are float32 in all of them.
PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")

_OPTIMIZATION: Mapping[str, ParameterInfo] = {
    "optimizer": ParameterInfo(kind=str, default="adam", options=OPTIMIZERS, summary="Keras optimizer."),
    "learning_rate": ParameterInfo(
        kind=float, default=1e-3, low=1e-8, high=100.0, summary="Step size of the optimizer; a schedule's highest."
    ),
    "momentum": ParameterInfo(
        kind=float, default=0.9, low=0.0, below=1.0, summary="Momentum of sgd; others ignore it."
    ),
    "nesterov": ParameterInfo(
        kind=bool, default=True, summary="Whether sgd's momentum is Nesterov's, not the plain one; others ignore it."
    ),
    "weight_decay": ParameterInfo(
        kind=float, default=0.0, low=0.0, high=1.0, summary="Decoupled weight decay of any optimizer; 0: none."
    ),
    "clip_norm": ParameterInfo(
        kind=float, default=0.0, low=0.0, high=1e6, summary="Longest gradient over all weights together; 0: any."
    ),
    "clip_value": ParameterInfo(
        kind=float,
        default=0.0,
        low=0.0,
        high=1e6,
        summary="Largest size of each number of a gradient; not beside clip_norm; 0: any.",
    ),
    "ema_momentum": ParameterInfo(
        kind=float,
        default=0.0,
        low=0.0,
        below=1.0,
        summary="Share that a running average of the weights keeps a batch; validated and exported; 0: none.",
    ),
    "batch_size": ParameterInfo(kind=int, default=128, low=1, high=65536, summary="Images a training step."),
    "gradient_accumulation": ParameterInfo(
        kind=int, default=1, low=1, high=4096, summary="Batches whose mean gradient makes one update of the weights."
    ),
}

_SCHEDULE: Mapping[str, ParameterInfo] = {
    "schedule": ParameterInfo(
        kind=str, default="constant", options=SCHEDULES, summary="How the learning rate falls until the last epoch."
    ),
    "warmup_epochs": ParameterInfo(
        kind=float,
        default=0.0,
        low=0.0,
        high=1000.0,
        summary="Epochs in which the learning rate first rises from near 0; one_cycle has a rise of its own.",
    ),
    "final_learning_rate_share": ParameterInfo(
        kind=float,
        default=0.01,
        low=1e-6,
        high=1.0,
        summary="Share of the learning rate that is left at the end; constant ignores it.",
    ),
    "learning_rate_drops": ParameterInfo(
        kind=int,
        default=2,
        low=1,
        high=8,
        summary="Equal drops of schedule step, after 1/2, 3/4, 7/8... of the training; others ignore it.",
    ),
}

#: What is said of an optimizer by parameters; a model's own optimizer was made with its own.
OPTIMIZER_SETTINGS = tuple(name for name in {**_OPTIMIZATION, **_SCHEDULE} if name not in ("optimizer", "batch_size"))

#: Parameters of how a variant is trained, for every family.
TRAINING: Mapping[str, ParameterInfo] = {
    **_OPTIMIZATION,
    **_SCHEDULE,
    "loss": ParameterInfo(
        kind=str,
        default=TARGETS,
        summary="targets: as data.targets says; a lone target's by Keras's name or module:name; model: your model's.",
    ),
    "label_smoothing": ParameterInfo(
        kind=float, default=0.0, low=0.0, below=1.0, summary="Share of the target spread evenly over all classes."
    ),
    "class_weights": ParameterInfo(
        kind=str,
        default="none",
        options=CLASS_WEIGHTS,
        summary="In the training loss; balanced: rare classes weigh more, so that all weigh the same; targets: as "
        "data.targets.<name>.class_weights says.",
    ),
    "patience": ParameterInfo(
        kind=int,
        default=0,
        low=0,
        high=100_000,
        summary="Epochs without a better objective after which the trial is complete; 0: it never is before its last.",
    ),
    "min_delta": ParameterInfo(
        kind=float,
        default=0.0,
        low=0.0,
        high=1e6,
        summary="An objective counts as better for patience where it is better by more than this.",
    ),
    "image_size": ParameterInfo(
        kind=int,
        default=0,
        low=0,
        high=4096,
        summary="Longer side that images are shrunk to inside the model, the other in proportion; 0: the data's.",
    ),
    "augment_strength": ParameterInfo(
        kind=float, default=1.0, low=0.0, high=2.0, summary="Factor of every amount in data.augment; 0: none."
    ),
    "precision": ParameterInfo(
        kind=str,
        default="float32",
        options=PRECISIONS,
        summary="What layers compute in, where the hardware has it; mixed_float16 needs a GPU.",
    ),
    "normalization": ParameterInfo(
        kind=str,
        default="scale",
        options=NORMALIZATIONS,
        summary="Pixels to 0-1, to mean 0 and deviation 1 by channel of the training split, or to -1..1.",
    ),
}

#: Parameters that a trace reads from variables (see `DynamicParameters`); where one is 0, its part of the graph is
#: missing.
DYNAMIC = ("learning_rate", "weight_decay", "momentum", "dropout")

#: Parameters that may change while a training's weights and its optimizer's state stay.
CHANGEABLE = (*DYNAMIC, "augment_strength")


def without_dynamic(params: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the parameters that determine a trace: of the dynamic ones, only whether they are 0.

    >>> without_dynamic({"filters": 8, "dropout": 0.2}), without_dynamic({"filters": 8, "dropout": 0.0})
    ({'filters': 8, 'dropout': True}, {'filters': 8, 'dropout': False})
    """
    return {name: value != 0 if name in DYNAMIC else value for name, value in params.items()}

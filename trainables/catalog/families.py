"""Lists the families of CNNs that a study may choose from.

The driver imports this module too, so it imports no framework: `build_model` imports a family's Keras code in the
process that trains.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from trainables.catalog.custom import CUSTOM, KERAS_TUNER
from trainables.catalog.functional import FUNCTIONAL
from trainables.catalog.multitask import MULTITASK
from trainables.catalog.parameter import ParameterInfo
from trainables.catalog.residual import RESIDUAL
from trainables.catalog.sequential import SEQUENTIAL
from trainables.catalog.subclassed import SUBCLASSED
from trainables.catalog.training import MODEL, OPTIMIZER_SETTINGS, TRAINING
from trainables.catalog.transfer import TRANSFER
from trainables.catalog.unet import UNET
from trainables.specs.targets import TargetKind

#: The kinds of targets that are labels of whole images.
OF_IMAGES: frozenset[TargetKind] = frozenset({"classification", "multilabel", "regression"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """One kind of CNN: what it is, its parameters, and the module with its `build` function.

    Args:
        name: As written in a study file.
        summary: One sentence for people.
        parameters: The architecture's parameters by name.
        module: A module with `build(params, *, task, context) -> keras.Model`; where it trains in phases, also with
            `phases(params)` (see `trainables.families.parts.phases`).
        takes_several: Whether the family takes several targets and several image inputs; else exactly one of each.
        has_own_parameters: Whether the user's code receives parameters that the family does not declare.
        kinds: The kinds of targets that it predicts.
        hands_over: Training parameters that the user's code receives as parameters of its own.
        ignores: Training parameters without effect on the family; loading refuses a study that gives one.
        finds_parameters: Whether loading calls the user's code to find the parameters that it takes.
        defaults: Values of training parameters that are not given, where they are not those of all families.
    """

    name: str
    summary: str
    parameters: Mapping[str, ParameterInfo]
    module: str
    takes_several: bool = False
    has_own_parameters: bool = False
    kinds: frozenset[TargetKind] = OF_IMAGES
    hands_over: frozenset[str] = frozenset()
    ignores: frozenset[str] = frozenset()
    finds_parameters: bool = False
    defaults: Mapping[str, Any] = field(default_factory=dict)

    def with_defaults(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the architecture's and the training's parameters, defaults filled in."""
        known = {**TRAINING, **self.parameters}
        given = {name: value for name, value in params.items() if name not in self.hands_over}
        given = {**self.defaults, **given}
        return {name: info.normalised(given.get(name, info.default)) for name, info in known.items()}

    def own_parameters(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the parameters that are the user's own, with lists as lists."""
        known = (TRAINING.keys() - self.hands_over) | self.parameters.keys()
        own = {name: value for name, value in params.items() if name not in known}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in own.items()}


FAMILIES: dict[str, Family] = {
    family.name: family
    for family in (
        Family(
            name="sequential",
            summary="A plain stack of convolution blocks and a dense head (Keras Sequential).",
            parameters=SEQUENTIAL,
            module="trainables.families.sequential",
        ),
        Family(
            name="residual",
            summary="Stages of residual blocks with identity or projected shortcuts (functional API).",
            parameters=RESIDUAL,
            module="trainables.families.residual",
        ),
        Family(
            name="functional",
            summary="A graph of modules with parallel branches, skips and shared convolutions (functional API).",
            parameters=FUNCTIONAL,
            module="trainables.families.functional",
        ),
        Family(
            name="subclassed",
            summary="A keras.Model subclass whose layers are made at run time, with a second classifier in training.",
            parameters=SUBCLASSED,
            module="trainables.families.subclassed",
        ),
        Family(
            name="transfer",
            summary="A backbone of keras.applications, first frozen, then fine-tuned at a lower learning rate.",
            parameters=TRANSFER,
            module="trainables.families.transfer",
        ),
        Family(
            name="multitask",
            summary="A trunk of convolution blocks with a head for each target and any number of image inputs.",
            parameters=MULTITASK,
            module="trainables.families.multitask",
            takes_several=True,
        ),
        Family(
            name="unet",
            summary="An encoder-decoder with skips that predicts a class for each pixel (functional API).",
            parameters=UNET,
            module="trainables.families.unet",
            kinds=frozenset({"mask"}),
        ),
        Family(
            name="custom",
            summary="What a function of yours returns, found beside the study file.",
            parameters=CUSTOM,
            module="trainables.families.custom",
            takes_several=True,
            has_own_parameters=True,
            kinds=OF_IMAGES | {"mask"},
            hands_over=frozenset({"image_size"}),
            ignores=frozenset({"normalization"}),
        ),
        Family(
            name="keras_tuner",
            summary="What a build(hp) or HyperModel of Keras Tuner's makes; its parameters are found by calling it.",
            parameters=KERAS_TUNER,
            module="trainables.families.keras_tuner",
            takes_several=True,
            has_own_parameters=True,
            kinds=OF_IMAGES | {"mask"},
            hands_over=frozenset({"optimizer", *OPTIMIZER_SETTINGS, "label_smoothing", "image_size"}),
            finds_parameters=True,
            defaults={"optimizer": MODEL, "loss": MODEL},
        ),
    )
}

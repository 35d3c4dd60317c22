"""Lists the parameters of the family `residual`, and the presets of its depth."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from trainables.catalog.parameter import COMMON, ParameterInfo

#: What each preset of the family `residual` fixes. Source: He et al. 2015, arXiv:1512.03385, section 4.2: three stages
#: of n blocks with 16, 32 and 64 filters make 6n + 2 layers.
PRESETS: Mapping[str, Mapping[str, Any]] = {
    "none": {},
    **{
        f"resnet{6 * blocks + 2}": {
            "block": "basic",
            "num_stages": 3,
            "blocks_per_stage": blocks,
            "filters": 16,
            "filters_growth": 2.0,
        }
        for blocks in (3, 5, 9)
    },
}

#: Parameters of the family `residual`.
RESIDUAL: Mapping[str, ParameterInfo] = {
    "preset": ParameterInfo(
        kind=str,
        default="none",
        options=tuple(PRESETS),
        summary="A named network; it fixes block, num_stages, blocks_per_stage, filters and filters_growth.",
    ),
    "block": ParameterInfo(
        kind=str,
        default="basic",
        options=("basic", "bottleneck"),
        replaced_by="preset",
        summary="Two 3x3 convolutions, or 1x1, 3x3 and 1x1 to four times the filters.",
    ),
    "num_stages": ParameterInfo(
        kind=int,
        default=3,
        low=1,
        high=8,
        replaced_by="preset",
        summary="Stages; each but the first halves height and width.",
    ),
    "blocks_per_stage": ParameterInfo(
        kind=int, default=1, low=1, high=64, replaced_by="preset", summary="Residual blocks in each stage."
    ),
    **COMMON,
    "filters": replace(COMMON["filters"], replaced_by="preset"),
    "filters_growth": replace(COMMON["filters_growth"], replaced_by="preset"),
    "pre_activation": ParameterInfo(
        kind=bool, default=False, summary="Normalisation and activation before each convolution, none after the sum."
    ),
    "squeeze_excite": ParameterInfo(
        kind=int, default=0, low=0, high=64, summary="Reduction ratio of squeeze-and-excitation; 0: none."
    ),
    "stochastic_depth": ParameterInfo(
        kind=float,
        default=0.0,
        low=0.0,
        below=1.0,
        summary="Share of images that skip the last block in training; earlier blocks are skipped less, linearly.",
    ),
}

"""Settings that would change nothing in what a study trains are refused when it is loaded, with the way out."""

from pathlib import Path
from typing import Any

import pytest

from orchestrator.errors import StudyFileError
from orchestrator.study.loading import parse_study
from orchestrator.study.spec import StudySpec

INK, QUADRANTS, DIGIT = {"ink": {"kind": "regression"}}, {"quadrants": {"kind": "multilabel"}}, {"label": {}}


NAMED = {"label": {"class_weights": {digit: 1.0 + digit for digit in range(10)}}}
FLAGS = {"quadrants": {"kind": "multilabel", "class_weights": {"a": 2, "b": 1}}}


def study(folder: Path, targets: dict[str, Any], *, family: str = "multitask", **params: Any) -> StudySpec:
    (folder / "nets.py").write_text("def build(params, input_shape, targets):\n    ...\n", encoding="utf-8")
    if family == "custom":
        params["function"] = "nets:build"
    space = {"family": family, "params": params}
    data = {"source": "digits", "targets": targets, "image_size": [12, 8]}
    return parse_study({"name": "s", "data": data, "space": space}, base=folder)


WEIGHTS = {"choice": ["none", "balanced"]}
REFUSED = [
    (
        INK,
        {"class_weights": "balanced"},
        "class_weights: no target is a classification or mask to balance, got regression",
    ),
    (
        QUADRANTS,
        {"class_weights": WEIGHTS},
        "class_weights: no target is a classification or mask to balance, got multilab",
    ),
    (INK | QUADRANTS, {"class_weights": WEIGHTS}, "got multilabel and regression targets alone; drop it"),
    (INK, {"label_smoothing": {"float": [0.0, 0.2]}}, "label_smoothing: it has no effect on numbers, got regression"),
    (
        DIGIT,
        {"class_weights": "targets"},
        "class_weights: targets needs weights by name, got none; write data.targets.la",
    ),
    (
        NAMED,
        {},
        "class_weights: data.targets.label.class_weights have no effect without it; add class_weights: targets",
    ),
    (NAMED, {"class_weights": "balanced"}, "data.targets.label.class_weights have no effect without it; add class_wei"),
    (
        FLAGS,
        {"family": "custom", "loss": "model", "class_weights": "targets"},
        "class_weights: a multilabel target has weights with one of binary_crossentropy, binary_focal_crossentropy, ",
    ),
    (DIGIT, {"loss": "hinge"}, "loss: a classification target has one of categorical_crossentropy, "),
    (DIGIT, {"loss": "categorical_hing"}, "got 'categorical_hing'; did you mean 'categorical_hinge'?"),
    (INK, {"loss": {"choice": ["huber", "hinge"]}}, "loss: a regression target has one of mean_squared_error, "),
    (INK | DIGIT, {"loss": "huber"}, "loss: it names the loss of a lone target, got 'huber' for 2; name them in data."),
    (DIGIT, {"loss": "model"}, "loss: loss: model needs a model of yours, got family 'multitask' as well"),
    (DIGIT, {"optimizer": "model"}, "optimizer: must be one of 'adam', "),
    (
        DIGIT,
        {"image_size": {"choice": [8, 13, 14]}},
        "image_size: it shrinks images inside the model, got 14 for a data.image_size whose longer side is 12; use 12",
    ),
    (DIGIT, {"image_size": {"int": [8, 16]}}, "image_size: it shrinks images inside the model, got 16 for a data."),
    (
        DIGIT,
        {"family": "transfer", "image_side": 32, "image_size": 8},
        "image_size: family 'transfer' ignores it where image_side is 32, got both; drop one of the two",
    ),
    (
        DIGIT,
        {"family": "custom", "loss": "model", "label_smoothing": 0.1},
        "label_smoothing: it has no effect beside loss: model; give it to the model's own loss, or drop it",
    ),
    (
        DIGIT,
        {"family": "custom", "optimizer": "model", "learning_rate": {"float": [0.01, 0.1]}, "clip_norm": 1.0},
        "learning_rate: it has no effect beside optimizer: model, which has its own; drop one of the two",
    ),
    (
        DIGIT,
        {"nesterov": False, "optimizer": {"choice": ["adam", "lamb"]}},
        "nesterov: it has no effect without optimizer: sgd, got adam and lamb alone; add sgd, or drop it",
    ),
    (DIGIT, {"nesterov": True, "optimizer": "sgd", "momentum": 0.0}, "nesterov: it has no effect with momentum 0; "),
    (DIGIT, {"min_delta": 0.01}, "min_delta: it has no effect without patience; add patience: 5 or another number of"),
    (DIGIT, {"clip_norm": 1.0, "clip_value": {"float": [0.1, 1.0]}}, "by clip_norm or by clip_value, got both; drop "),
]


@pytest.mark.parametrize(("targets", "params", "words"), REFUSED)
def test_settings_without_effect_are_refused(tmp_path: Path, targets: Any, params: Any, words: str) -> None:
    with pytest.raises(StudyFileError) as caught:
        study(tmp_path, targets, **params)
    assert str(caught.value).startswith("study: space.params.")
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("targets", "params"),
    [
        (INK, {"class_weights": "none", "label_smoothing": 0.0}),
        (INK | DIGIT, {"class_weights": "balanced", "label_smoothing": 0.1}),
        (QUADRANTS, {"label_smoothing": 0.1, "loss": {"choice": ["targets", "hinge"]}}),
        (DIGIT, {"family": "custom", "optimizer": {"choice": ["model", "sgd"]}, "learning_rate": 0.1}),
        (DIGIT, {"family": "custom", "loss": {"choice": ["model", "targets"]}, "label_smoothing": 0.1}),
        (DIGIT, {"family": "custom", "optimizer": "model", "loss": "model", "batch_size": 8}),
        (NAMED, {"class_weights": {"choice": ["none", "balanced", "targets"]}}),
        (FLAGS, {"class_weights": "targets", "loss": {"choice": ["targets", "hinge"]}}),
        (NAMED, {"family": "custom", "loss": "model", "class_weights": "targets"}),
        (DIGIT, {"nesterov": {"choice": [True, False]}, "optimizer": {"choice": ["adam", "sgd"]}}),
        (DIGIT, {"min_delta": 0.01, "patience": {"choice": [0, 3]}}),
        (
            DIGIT,
            {"clip_norm": {"choice": [0.0, 1.0]}, "clip_value": {"choice": [0.0, 0.5], "when": {"clip_norm": 0.0}}},
        ),
        (DIGIT, {"image_size": {"choice": [0, 6, 12]}}),
        # The function's own: it may enlarge images, or name sides one by one.
        (DIGIT, {"family": "custom", "image_size": {"choice": [16, 64]}}),
        (DIGIT, {"family": "custom", "image_size": [16, 8], "img_size": 3}),
    ],
)
def test_settings_with_effect_on_some_variant_stay(tmp_path: Path, targets: Any, params: Any) -> None:
    assert set(params) - {"family"} < set(study(tmp_path, targets, **params).space.names)


MASKS = [
    ({}, {"loss": "dice"}, {"class_weights": "balanced"}, "got loss 'dice'; use one of these, or drop it"),
    (
        {"sample_weight": "w"},
        {},
        {"family": "custom", "loss": "model"},
        "would lay one weight an image (data.sample_we",
    ),
]


@pytest.mark.parametrize(("data", "target", "params", "words"), MASKS)
def test_weights_that_a_loss_of_masks_cannot_have_are_refused(
    tmp_path: Path, data: Any, target: Any, params: Any, words: str
) -> None:
    (tmp_path / "nets.py").write_text("def build(params, input_shape, targets):\n    ...\n", encoding="utf-8")
    (tmp_path / "m.npz").touch()
    data = {"source": "npz", "path": "m.npz", "targets": {"spot": {"kind": "mask", **target}}, **data}
    params = dict(params)
    family = params.pop("family", "unet")
    if family == "custom":
        params["function"] = "nets:build"

    def load(**params: Any) -> None:
        parse_study({"name": "s", "data": data, "space": {"family": family, "params": params}}, base=tmp_path)

    with pytest.raises(StudyFileError) as caught:
        load(**params)
    assert words in str(caught.value)
    load(**params | {"loss": "targets" if "loss" in params else "categorical_focal_crossentropy"})

"""What `validate` says of a valid study that would spend trials for nothing, and that it says nothing of a good one."""

from typing import Any

import pytest

from orchestrator.advice.lint import lint
from orchestrator.study.loading import load_study, packaged_studies
from search_spaces import builtin_names


def advice(*, data: dict[str, Any] | None = None, space: Any = None, **sections: Any) -> list[str]:
    study = {"name": "s", "data": {"source": "digits", **(data or {})}, "space": space or {"family": "sequential"}}
    return lint(load_study(study | sections))


def params(**params: Any) -> dict[str, Any]:
    return {"family": "sequential", "params": {"filters": {"choice": [8, 16]}, **params}}


def test_packaged_studies_have_none() -> None:
    assert {name: lint(load_study(name)) for name in packaged_studies()} == {name: [] for name in packaged_studies()}


@pytest.mark.parametrize("name", [name for name in builtin_names() if name not in ("multitask-small", "unet-small")])
def test_built_in_spaces_have_none(name):
    assert advice(space=name, data={"augment": {"flip": "horizontal"}}) == []


OPTIMIZERS = {"choice": ["adam", "sgd"]}
RANGE = {"float": [0.1, 0.9]}


@pytest.mark.parametrize(
    ("study", "place", "words"),
    [
        ({"space": params(momentum=RANGE)}, "space.params.momentum", "no effect with optimizer adam"),
        (
            {"space": params(momentum=RANGE, optimizer=OPTIMIZERS)},
            "space.params.momentum",
            "add when: {optimizer: sgd}",
        ),
        (
            {"space": params(final_learning_rate_share=RANGE)},
            "space.params.final_learning_rate_share",
            "no effect with schedule constant; drop it, or add cosine to schedule",
        ),
        (
            {"space": params(learning_rate_drops={"int": [1, 3]}, schedule={"choice": ["cosine", "step"]})},
            "space.params.learning_rate_drops",
            "add when: {schedule: step}",
        ),
        (
            {"space": params(final_learning_rate_share=RANGE, schedule={"choice": ["constant", "cosine", "step"]})},
            "space.params.final_learning_rate_share",
            "add when: {schedule: [cosine, step]}",
        ),
        ({"space": params(augment_strength={"float": [0, 1]})}, "space.params.augment_strength", "which has none"),
        (
            {"space": params(learning_rate={"float": [1e-5, 0.1]})},
            "space.params.learning_rate",
            "nine in ten draws from [1e-05, 0.1] lie above 0.01001; add log: true",
        ),
        ({"space": params(filters={"choice": [16, 17, 24, 20]})}, "space.params.filters", "17, 20: no multiple of 8"),
        ({"space": params(filters={"int": [8, 64]})}, "space.params.filters", "17, 18, 19, 20 and others: no multiple"),
        (
            {"space": params(num_blocks={"choice": [1, 2, 3]}), "search": {"algorithm": "grid", "trials": 3}},
            "search.trials",
            "3 of the grid's 6 variants are its first ones, in which filters changes last",
        ),
        (
            {"space": params(), "search": {"algorithm": "grid", "prior": {"filters": 8}}},
            "search.prior",
            "a grid goes through its variants in their order, whatever is guessed of filters; drop it",
        ),
        (
            {"space": params(warmup_epochs={"float": [1, 5]}, schedule="cosine"), "schedule": {"max_epochs": 4}},
            "space.params.warmup_epochs",
            "5 of 4 epochs (schedule.max_epochs): the learning rate never reaches its height",
        ),
        (
            {"space": params(), "search": {"target": 95}},
            "search.target",
            "95 is never reached, as val_accuracy is at most 1; 95 % is 0.95",
        ),
        ({"space": params(patience=6), "schedule": {"max_epochs": 6}}, "space.params.patience", "it never acts"),
        (
            {"space": params(), "schedule": {"algorithm": "asha", "max_epochs": 6, "grace_epochs": 6}},
            "schedule.grace_epochs",
            "6 of 6 epochs: asha stops no trial",
        ),
        (
            {"space": params(), "schedule": {"algorithm": "median", "max_epochs": 6, "grace_epochs": 6}},
            "schedule.grace_epochs",
            "6 of 6 epochs: median stops no trial",
        ),
        (
            {
                "space": params(),
                "schedule": {"algorithm": "hyperband", "max_epochs": 9, "grace_epochs": 3, "brackets": 4},
            },
            "schedule.brackets",
            "3 of 4 stop no trial, as they would begin to judge at epoch 9 or later (schedule.max_epochs); make it 2",
        ),
        (
            {"space": params(), "schedule": {"algorithm": "pasha", "max_epochs": 8, "grace_epochs": 1}},
            "schedule.algorithm",
            "pasha's ladder begins with 2 rungs, and 8 epochs have no more of them, so that it does as asha",
        ),
        (
            {
                "space": params(warmup_epochs=2, schedule="cosine"),
                "schedule": {"algorithm": "asha", "max_epochs": 9, "grace_epochs": 2},
            },
            "schedule.grace_epochs",
            "judges a trial after 2 epochs, while its learning rate still rises (space.params.warmup_epochs: up to 2); "
            "make it 3",
        ),
    ],
)
def test_it_names_the_place_what_is_wrong_and_the_change(study, place, words):
    found = advice(**study)
    assert len(found) == 1
    assert found[0].startswith(f"{place}: ")
    assert words in found[0]


@pytest.mark.parametrize(
    "study",
    [
        {"space": params(momentum={**RANGE, "when": {"optimizer": "sgd"}}, optimizer=OPTIMIZERS)},
        {"space": params(momentum=0.9)},
        {"space": params(learning_rate={"float": [1e-5, 0.1], "log": True})},
        {"space": params(filters={"choice": [8, 12, 16, 24, 32]})},
        {"space": params(filters={"choice": [16, 17]}), "resources": {"gpus_per_trial": 1}},
        {"space": params(), "search": {"algorithm": "grid", "target": 1}},
        {"space": params(), "search": {"algorithm": "sobol", "prior": {"filters": 8}}},
        {"space": params(), "search": {"target": 3}, "objective": {"metric": "val_loss"}},
        {"space": params(dropout={"float": [0, 0.9], "step": 1e-9})},
        {"space": params(warmup_epochs=2), "schedule": {"algorithm": "none", "max_epochs": 9}},
        {"space": params(), "schedule": {"algorithm": "hyperband", "max_epochs": 9, "grace_epochs": 1}},
        {"space": params(), "schedule": {"algorithm": "pasha", "max_epochs": 9, "grace_epochs": 1}},
        {"space": params(), "schedule": {"algorithm": "hyperband"}},
    ],
)
def test_it_says_nothing_of_what_is_as_it_should_be(study):
    assert advice(**study) == []

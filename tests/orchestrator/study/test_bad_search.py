"""What is wrong with the keys of `search` is told in one line: where, what was received, how to mend it."""

from collections.abc import Mapping
from typing import Any

import pytest

from orchestrator.cli import app as cli
from orchestrator.errors import InputError, StudyFileError
from orchestrator.study.loading import load_study

SPACE: dict[str, Any] = {
    "family": {"choice": ["sequential", "residual"]},
    "params": {
        "num_blocks": {"int": [1, 3], "when": {"family": "sequential"}},
        "filters": {"choice": [8, 16, 32]},
        "learning_rate": {"float": [0.0001, 0.1], "log": True},
        "optimizer": {"choice": ["adam", "sgd", "rmsprop"]},
        "momentum": {"float": [0.5, 0.9], "when": {"optimizer": ["sgd", "rmsprop"]}},
        "nesterov": {"choice": [True, False], "when": {"optimizer": "sgd"}},
        "batch_size": 32,
    },
}
KNOWN = "it has family, num_blocks, filters, learning_rate, optimizer, momentum, nesterov, batch_size"
MAPPING = "must be a mapping of values by parameter"


def study(space: Any = SPACE, **search: Any) -> Mapping[str, Any]:
    return {"name": "demo", "data": {"source": "digits"}, "space": space, "search": search}


# id, search, place, received, fix
PRIOR = [
    ("a list", {"prior": [0.1]}, "prior", "got [0.1]", MAPPING),
    ("a number", {"prior": 0.1}, "prior", "got 0.1", "for example prior: {learning_rate: 0.003, filters: 32}"),
    ("nothing", {"prior": None}, "prior", "got None", MAPPING),
    ("a number for a name", {"prior": {3: 0.1}}, "prior", "got {3: 0.1}", MAPPING),
    ("an unknown name", {"prior": {"learning_rat": 0.1}}, "prior.learning_rat", "got 0.1", "mean 'learning_rate'?"),
    ("a far name", {"prior": {"zebra": 3}}, "prior.zebra", "got 3", KNOWN),
    ("below the range", {"prior": {"learning_rate": 1e-5}}, "prior.learning_rate", "got 1e-05", "from 0.0001 to 0.1"),
    ("above the range", {"prior": {"num_blocks": 4}}, "prior.num_blocks", "got 4", "a whole number from 1 to 3"),
    ("half a block", {"prior": {"num_blocks": 1.5}}, "prior.num_blocks", "got 1.5", "a whole number from 1 to 3"),
    ("no option", {"prior": {"filters": 9}}, "prior.filters", "got 9", "one of 8, 16, 32"),
    ("a near option", {"prior": {"optimizer": "adm"}}, "prior.optimizer", "got 'adm'", "did you mean 'adam'?"),
    ("text", {"prior": {"learning_rate": "fast"}}, "prior.learning_rate", "got 'fast'", "or drop it"),
    ("a domain", {"prior": {"filters": {"choice": [8]}}}, "prior.filters", "got {'choice': [8]}", "or drop it"),
    ("several", {"prior": {"filters": [8, 16]}}, "prior.filters", "got [8, 16]", "one of 8, 16, 32"),
    ("yes", {"prior": {"learning_rate": True}}, "prior.learning_rate", "got True", "a number from"),
    ("no number", {"prior": {"learning_rate": float("nan")}}, "prior.learning_rate", "got nan", "a number from"),
    ("endless", {"prior": {"momentum": float("inf")}}, "prior.momentum", "got inf", "from 0.5 to 0.9"),
    ("a fixed one", {"prior": {"batch_size": 32}}, "prior.batch_size", "always 32", "drop the guess, or let it vary"),
    ("a fixed one's other value", {"prior": {"batch_size": 2}}, "prior.batch_size", "got 2", "or drop it"),
    ("a family", {"prior": {"family": "resnet"}}, "prior.family", "got 'resnet'", "one of 'sequential', 'residual'"),
    (
        "inactive beside another guess",
        {"prior": {"optimizer": "adam", "momentum": 0.6}},
        "prior.momentum",
        "got the guess 'adam' for optimizer",
        "active with optimizer 'sgd' or 'rmsprop' alone",
    ),
    (
        "inactive in a family",
        {"prior": {"family": "residual", "num_blocks": 2}},
        "prior.num_blocks",
        "got the guess 'residual' for family",
        "drop one of the two guesses",
    ),
]
OTHERS = [
    ("a misspelled key", {"piror": {}}, "piror", "got {}", "did you mean 'prior'?"),
    ("trials in words", {"trials": "many"}, "trials", "got 'many'", "for example trials: 24"),
    ("half a trial", {"trials": 2.5}, "trials", "got 2.5", "valid integer"),
    ("no algorithm", {"algorithm": None}, "algorithm", "got None", "must be one of"),
    ("two algorithms", {"algorithm": ["tpe", "gp"]}, "algorithm", "got ['tpe', 'gp']", "must be one of"),
    ("another spelling", {"algorithm": "TPE"}, "algorithm", "got 'TPE'", "must be one of"),
    ("minutes below none", {"minutes": -3}, "minutes", "got -3", "greater than 0"),
    ("one replicate", {"replicates": 1}, "replicates", "got 1", "must be 0 or at least 2"),
    ("replicates below none", {"replicates": -2}, "replicates", "got -2", "for example replicates: 3"),
    ("replicates in words", {"replicates": "three"}, "replicates", "got 'three'", "for example replicates: 3"),
    ("half a replicate", {"replicates": 2.5}, "replicates", "got 2.5", "valid integer"),
    ("replicates without end", {"replicates": 100_000}, "replicates", "got 100000", "less than or equal to 1000"),
    ("no leaders", {"replicates": 3, "leaders": 0}, "leaders", "got 0", "for example leaders: 3"),
    ("leaders yes", {"leaders": True}, "leaders", "got True", "for example leaders: 3"),
    (
        "folds of no kind",
        {"replicates": 3, "replicate_on": "fold"},
        "replicate_on",
        "got 'fold'",
        "did you mean 'folds'",
    ),
    ("folds of no data", {"replicates": 3, "replicate_on": "folds"}, "replicate_on", "got none", "data.folds: 4"),
    ("folds for nothing", {"replicate_on": "folds"}, "replicate_on", "with replicates 0", "add replicates: 4"),
    ("a near key", {"replicas": 3}, "replicas", "got 3", "did you mean 'replicates'?"),
    ("minutes yes", {"minutes": True}, "minutes", "got True", "for example minutes: 10"),
]
BUDGETS = [
    ("a target of none", {"target": float("nan")}, "target", "got nan", "for example target: 0.95"),
    ("target in words", {"target": "high"}, "target", "got 'high'", "must be a valid number"),
    ("no hours", {"core_hours": 0}, "core_hours", "got 0", "for example core_hours: 8"),
    ("hours for ever", {"core_hours": float("inf")}, "core_hours", "got inf", "core_hours: 8"),
    ("no price", {"money": 5}, "price_per_hour", "got nothing", "or drop money (5)"),
    ("a free machine", {"money": 5, "price_per_hour": 0}, "price_per_hour", "got 0", "1.5"),
    ("no money", {"money": 0, "price_per_hour": 1}, "money", "got 0", "for example money: 20"),
    ("no gain", {"min_gain": 0}, "min_gain", "got 0", "for example min_gain: 0.001"),
    ("half an epoch", {"epochs": 2.5}, "epochs", "got 2.5", "for example epochs: 500"),
    ("no epochs at all", {"epochs": 0}, "epochs", "got 0", "greater than or equal to 1"),
    ("impatience", {"patience": -1}, "patience", "got -1", "for example patience: 20"),
    ("patience yes", {"patience": True}, "patience", "got True", "for example patience: 20"),
]


@pytest.mark.parametrize(
    ("search", "place", "received", "fix"), [pytest.param(*row[1:], id=row[0]) for row in [*PRIOR, *OTHERS, *BUDGETS]]
)
def test_one_mistake_is_one_line_with_place_value_and_fix(
    search: Mapping[str, Any], place: str, received: str, fix: str
) -> None:
    with pytest.raises(InputError) as hit:
        load_study(study(**search))
    lines = str(hit.value).splitlines()
    assert [line.startswith(f"study: search.{place}: ") for line in lines] == [True], lines
    assert received in lines[0]
    assert fix in lines[0]


def test_all_wrong_guesses_are_told_at_once_with_what_else_is_wrong(tmp_path, monkeypatch, capsys) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(
        "name: demo\ndata: {source: digits}\nspace: {family: sequential, params: {filters: {choice: [8, 16]}, stride: "
        "1}}\nsearch: {start_with: [{filters: 9}], prior: {filters: 64, stride: 1, filtres: 8}}\n",
        encoding="utf-8",
    )
    monkeypatch.setattr("sys.argv", ["convfleet", "validate", str(path)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2
    places = [line.split(": ")[2] for line in capsys.readouterr().err.splitlines()]
    assert places == [
        "search.start_with.0.variant.params.filters",
        "search.prior.filters",
        "search.prior.stride",
        "search.prior.filtres",
    ]


@pytest.mark.parametrize(
    "prior",
    [
        {"momentum": 0.6},
        {"optimizer": "rmsprop", "momentum": 0.6},
        {"optimizer": "sgd", "nesterov": True, "filters": 16.0},
        {"family": "sequential", "num_blocks": 3, "learning_rate": "1e-3"},
    ],
)
def test_guesses_that_can_hold_together_are_taken_and_written_out(tmp_path, prior: Mapping[str, Any]) -> None:
    spec = load_study(study(prior=prior))
    path = tmp_path / "study.yaml"
    path.write_text(spec.to_yaml(), encoding="utf-8")
    assert load_study(path).search == spec.search
    assert load_study(path).study_id == spec.study_id != load_study(study()).study_id


def test_a_guess_of_false_counts_like_any_other() -> None:
    space = {
        "family": "sequential",
        "params": {
            "filters": {"choice": [8, 16]},
            "batch_norm": {"choice": [True, False]},
            "dropout": {"float": [0, 0.5], "when": {"batch_norm": False}},
        },
    }
    assert load_study(study(space, prior={"batch_norm": False, "dropout": 0.1})).search.prior["dropout"] == 0.1
    with pytest.raises(StudyFileError, match=r"search\.prior\.dropout: .* got the guess True for batch_norm"):
        load_study(study(space, prior={"batch_norm": True, "dropout": 0.1}))


@pytest.mark.parametrize(
    ("folds", "replicates", "fix"),
    [
        (5, 5, "at most 4 on other folds, got 5; use 4 replicates, or data.folds: 6"),
        (2, 2, "at most 1 on other folds, got 2; use data.folds: 3"),
    ],
)
def test_more_replicates_than_other_folds_are_refused(folds: int, replicates: int, fix: str) -> None:
    content = study(replicates=replicates, replicate_on="folds")
    with pytest.raises(StudyFileError) as hit:
        load_study({**content, "data": {"source": "digits", "folds": folds}})
    assert str(hit.value) == (
        f"study: search.replicates: the search has one of {folds} folds, so each leader has {fix}"
    )


def test_search_has_the_first_fold_where_replicates_take_the_others_and_the_study_names_none(tmp_path) -> None:
    data = {"source": "digits", "folds": 4}
    on_folds = load_study({**study(replicates=3, replicate_on="folds"), "data": data})
    assert (on_folds.data.fold, on_folds.folds) == (1, [1, 2, 3, 4])
    third = load_study({**study(replicates=3, replicate_on="folds"), "data": {**data, "fold": 3}})
    assert third.folds == [3, 4, 1, 2]
    path = tmp_path / "study.yaml"
    path.write_text(third.to_yaml(), encoding="utf-8")
    assert load_study(path).study_id == third.study_id != on_folds.study_id
    with pytest.raises(StudyFileError, match=r"study: data.fold: folds needs it, got nothing"):
        load_study({**study(replicates=3), "data": data})


def test_study_without_folds_keeps_its_id() -> None:
    assert load_study(study(replicates=3)).study_id == load_study(study(replicates=3, replicate_on="seeds")).study_id
    assert load_study(study()).folds == []


def test_fold_beside_a_validation_split_of_its_own_is_refused() -> None:
    data = {"source": "npz", "train": "a.npz", "validation": "b.npz", "folds": 4}
    with pytest.raises(StudyFileError, match=r"data.validation: a fold is the validation split, got 'b.npz' beside"):
        load_study({**study(replicates=3, replicate_on="folds"), "data": data})


def test_missing_price_is_told_with_all_else_that_is_wrong() -> None:
    with pytest.raises(StudyFileError) as hit:
        load_study(study(money=5, trials=0, algorithm="TPE"))
    places = [line.split(": ")[1] for line in str(hit.value).splitlines()]
    assert sorted(places) == ["search.algorithm", "search.price_per_hour", "search.trials"]

"""Whatever is wrong with a study file, one line says where, what was received and how to mend it."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.cli import app as cli

Outcome = tuple[int, str]
Convfleet = Callable[..., Outcome]
Row = tuple[str, str, str, str]

NAME, DATA, SPACE = "name: demo\n", "data: {source: digits}\n", "space: {family: sequential, params: {filters: 8}}\n"
STUDY = NAME + DATA + SPACE
BUILT_IN = (
    "cnn-deep, cnn-small, inception-small, multitask-small, resnet-cifar, resnet-small, supervised-small, "
    "transfer-small, unet-small"
)


def also(section: str) -> str:
    return f"{STUDY}{section}\n"


def named(name: str) -> str:
    return f"name: {name}\n{DATA}{SPACE}"


def data(section: str) -> str:
    return f"{NAME}data: {section}\n{SPACE}"


def space(section: str) -> str:
    return f"{NAME}{DATA}space: {section}\n"


def params(entries: str, *, family: str = "sequential") -> str:
    return space(f"{{family: {family}, params: {{{entries}}}}}")


# id, study file, place, received, fix
NOT_YAML = [
    ("open brace", "name: demo\ndata: {source: digits\nspace: x\n", ", line 3, column 6", "'space: x'", "brackets"),
    ("open quote", "name: 'demo\n", ", line 2, column 1", "end of stream", "check indentation, quotes"),
    ("tab", "name: demo\ndata:\n\tsource: x\n", ", line 3, column 1", r"got '\tsource: x'", "spaces, not tabs"),
    ("key twice", also("name: other"), ", line 4, column 1", "the key 'name' is given twice", "remove one"),
    (
        "inner key twice",
        f"{NAME}{SPACE}data:\n  source: digits\n  source: keras\n",
        ", line 5, column 3",
        "'source' is given twice",
        "remove one",
    ),
    ("alias", "name: &n demo\nspace: *n\n", ", line 2, column 8", "aliases (*name)", "write the value out"),
    ("two documents", f"{STUDY}---\nname: x\n", ", line 4, column 1", "another document", "check indentation"),
    ("python tag", "name: !!python/object/apply:os.getcwd []\n", ", line 1, column 7", "os.getcwd", "check"),
    ("list as key", "{[1, 2]: 3}\n", ", line 1, column 2", "'{[1, 2]: 3}'", "check indentation"),
    ("impossible date", also("seed: 2024-13-45"), ", line 4, column 7", "month must be in 1..12", "in quotes"),
    ("endless number", also("seed: " + "9" * 5000), ", line 4, column 7", "5000 digits", "correct it"),
    ("endless hex number", also("seed: 0x" + "f" * 5000), ", line 4, column 7", "has 5002 digits", "correct it"),
    ("deep nesting", "[" * 20_000, ": not YAML", "nested too deeply", "a few levels deep"),
    ("zero byte", "name: a\0b\n", ": not YAML", "#x0000", "save it as plain UTF-8"),
    ("empty file", "", ": expected a mapping with name, data and space", "got None", "convfleet run quickstart"),
    ("comment only", "# later\n", ": expected a mapping", "got None", "convfleet run quickstart"),
    ("list at the top", "- name: demo\n", ": expected a mapping", "[{'name': 'demo'}]", "convfleet run quickstart"),
    ("bare word", "quickstart\n", ": expected a mapping", "got 'quickstart'", "convfleet run quickstart"),
]

UNKNOWN_KEYS = [
    ("top", also("serach: {trials: 3}"), "serach", "{'trials': 3}", "did you mean 'search'?"),
    ("top, nothing near", also("1: 2"), "1", "got 2", "known keys: name, seed, data"),
    ("data", data("{source: digits, limt: 9}"), "data.limt", "got 9", "did you mean 'limit'?"),
    ("augment", data("{source: digits, augment: {flipp: up}}"), "data.augment.flipp", "'up'", "mean 'flip'?"),
    (
        "rand_augment",
        data("{source: digits, augment: {rand_augment: {magnitud: 3}}}"),
        "data.augment.rand_augment.magnitud",
        "got 3",
        "mean 'magnitude'?",
    ),
    ("space", space("{family: sequential, parms: {}}"), "space.parms", "unknown key", "did you mean 'params'?"),
    ("domain", params("filters: {choise: [1]}"), "space.params.filters.choise", "unknown key", "mean 'choice'?"),
    ("objective", also("objective: {metrc: loss}"), "objective.metrc", "got 'loss'", "did you mean 'metric'?"),
    ("search", also("search: {trails: 3}"), "search.trails", "got 3", "did you mean 'trials'?"),
    ("schedule", also("schedule: {max_epoch: 3}"), "schedule.max_epoch", "got 3", "did you mean 'max_epochs'?"),
    ("resources", also("resources: {gpu_per_trial: 1}"), "resources.gpu_per_trial", "got 1", "'gpus_per_trial'?"),
    ("export", also("export: {format: [keras]}"), "export.format", "['keras']", "did you mean 'formats'?"),
    ("control codes", also(r'"\e[31m": 1'), r"\x1b[31m", "got 1", "known keys"),
    ("line break", also(r'"a\nb": 1'), r"a\nb", "got 1", "known keys"),
]

TYPES_AND_BOUNDS = [
    ("text for an int", also("seed: seven"), "seed", "got 'seven'", "for example seed: 7"),
    ("bool for an int", also("seed: true"), "seed", "got True", "must be a number, not true or false"),
    (
        "too much zoom",
        data("{source: digits, augment: {zoom: 1.5}}"),
        "data.augment.zoom",
        "got 1.5",
        "less than or equal to 0.9",
    ),
    (
        "number for operations",
        data("{source: digits, augment: {rand_augment: 2}}"),
        "data.augment.rand_augment",
        "got 2",
        "for example rand_augment: {num_ops: 2, magnitude: 5}",
    ),
    ("negative", also("seed: -1"), "seed", "got -1", "greater than or equal to 0"),
    ("huge", also("seed: 99999999999999999999"), "seed", "got 99999999999999999999", "equal to 2147483647"),
    ("fraction for an int", also("seed: 1.5"), "seed", "got 1.5", "must be a valid integer"),
    ("nan for an int", also("seed: .nan"), "seed", "got nan", "must be a finite number"),
    ("infinite for an int", also("seed: .inf"), "seed", "got inf", "must be a finite number"),
    ("list for an int", also("seed: [1]"), "seed", "got [1]", "for example seed: 7"),
    ("null for an int", also("seed:"), "seed", "got None", "for example seed: 7"),
    ("number for a name", named("5"), "name", "got 5", "for example name: my-study"),
    ("date for a name", named("2024-01-01"), "name", "datetime.date(2024, 1, 1)", "must be a valid string"),
    ("parent folder", named("../x"), "name", "got '../x'", "not begin with '.'"),
    ("absolute name", named("/x"), "name", "got '/x'", "must be letters, digits"),
    ("hidden name", named(".hidden"), "name", "got '.hidden'", "not begin with '.'"),
    ("empty name", named("''"), "name", "got ''", "for example name: my-study"),
    ("name with a line break", named(r'"a\n"'), "name", r"got 'a\n'", "must be letters"),
    ("long name", named("a" * 101), "name", "got 'aaaaaaa", "at most 100 characters"),
    ("no name", DATA + SPACE, "name", "got nothing", "for example name: my-study"),
    ("no data", NAME + SPACE, "data", "got nothing", "for example data: {source: digits}"),
    ("no space", NAME + DATA, "space", "got nothing", "name a built-in space such as cnn-small"),
    ("text for a section", data("digits"), "data", "got 'digits'", "a mapping with keys such as source, name"),
    ("list for a section", also("schedule: []"), "schedule", "got []", "keys such as algorithm, max_epochs"),
    ("test metric", also("objective: {metric: test_accuracy}"), "objective.metric", "'test_accuracy'", "never steers"),
    ("metric", also("objective: {metric: val_acuracy}"), "objective.metric", "'val_acuracy'", "mean 'val_accuracy'?"),
    ("mode", also("objective: {mode: maximum}"), "objective.mode", "'maximum'", "did you mean 'max'?"),
    (
        "another target's metric",
        data("{source: digits, targets: {label: {metrics: [accuracy]}}}") + "objective: {metric: val_f1_score}\n",
        "objective.metric",
        "got 'val_f1_score'",
        "name others in data.targets",
    ),
    (
        "kind of target",
        data("{source: digits, targets: {label: {kind: classes}}}"),
        "data.targets.label.kind",
        "'classes'",
        "must be one of classification, multilabel, regression",
    ),
    (
        "loss of a target",
        data("{source: digits, targets: {label: {loss: mean_absolute_error}}}"),
        "data.targets.label.loss",
        "got 'mean_absolute_error'",
        "a classification target has one of categorical_crossentropy",
    ),
    (
        "metric of a target",
        data("{source: digits, targets: {label: {metrics: [mae]}}}"),
        "data.targets.label.metrics",
        "got 'mae'",
        "a classification target has some of accuracy",
    ),
    (
        "name of a target",
        data("{source: digits, targets: {val_x: {}}}"),
        "data.targets",
        "got 'val_x'",
        "rename it and say which column it is",
    ),
    (
        "targets and label column",
        data("{source: parquet, train: /tmp, label_column: y, targets: {label: {}}}"),
        "data.label_column",
        "got 'y' beside them",
        "targets: {label: {column: y}}",
    ),
    (
        "several targets for one head",
        data("{source: digits, targets: {a: {column: label}, b: {column: label}}}"),
        "space.family",
        "data.targets has 2: a, b",
        "'sequential' predicts one target",
    ),
    (
        "precision without its hardware",
        params("precision: {choice: [float32, mixed_float16]}"),
        "space.params.precision",
        "got resources.gpus_per_trial 0",
        "use mixed_bfloat16 or float32",
    ),
    (
        "limit",
        space("{family: sequential, limits: {params: 5}}"),
        "space.limits.params",
        "unknown limit",
        "known are parameters",
    ),
    (
        "algorithm",
        also("search: {algorithm: bayes}"),
        "search.algorithm",
        "'bayes'",
        "one of random, sobol, grid, tpe, bohb, gp",
    ),
    ("no trials", also("search: {trials: 0}"), "search.trials", "got 0", "for example trials: 24"),
    ("too many trials", also("search: {trials: 1000001}"), "search.trials", "1000001", "equal to 1000000"),
    ("scheduler", also("schedule: {algorithm: ahsa}"), "schedule.algorithm", "'ahsa'", "did you mean 'asha'?"),
    ("no epochs", also("schedule: {max_epochs: 0}"), "schedule.max_epochs", "got 0", "at least 1 and at most 100,000"),
    ("grace", also("schedule: {max_epochs: 3, grace_epochs: 4}"), "schedule.grace_epochs", "got 4", "lower it"),
    ("factor 1", also("schedule: {reduction_factor: 1}"), "schedule.reduction_factor", "got 1", "greater than 1"),
    ("factor nan", also("schedule: {reduction_factor: .nan}"), "schedule.reduction_factor", "got nan", "factor: 3"),
    ("gpu and a half", also("resources: {gpus_per_trial: 1.5}"), "resources.gpus_per_trial", "1.5", "a whole number"),
    ("all the gpus", also("resources: {gpus_per_trial: .inf}"), "resources.gpus_per_trial", "inf", "a whole number"),
    ("gpus in words", also("resources: {gpus_per_trial: all}"), "resources.gpus_per_trial", "'all'", "must be auto, 0"),
    ("gpus for sure", also("resources: {gpus_per_trial: true}"), "resources.gpus_per_trial", "got True", "0.5"),
    ("gpus below none", also("resources: {gpus_per_trial: -1}"), "resources.gpus_per_trial", "got -1", "must be auto"),
    ("pinned to", also("resources: {pin_cpus: [0, 1]}"), "resources.pin_cpus", "[0, 1]", "must be auto, true or false"),
    ("no cpu", also("resources: {cpus_per_trial: 0}"), "resources.cpus_per_trial", "got 0", "greater than 0"),
    ("cpus in words", also("resources: {cpus: all}"), "resources.cpus", "got 'all'", "auto or a whole number"),
    ("cpus yes", also("resources: {cpus: yes}"), "resources.cpus", "got True", "of at least 1"),
    ("cpus below 0", also("resources: {cpus: -4}"), "resources.cpus", "got -4", "of at least 1"),
    ("gpus below 0", also("resources: {gpus: -1}"), "resources.gpus", "got -1", "of at least 0"),
    ("none at a time", also("resources: {max_concurrent: 0}"), "resources.max_concurrent", "got 0", "of at least 1"),
    ("retries", also("resources: {retries: true}"), "resources.retries", "got True", "for example retries: 3"),
    ("top", also("export: {top: -1}"), "export.top", "got -1", "for example top: 3"),
    ("format", also("export: {formats: [onx]}"), "export.formats[0]", "got 'onx'", "one of keras, saved_model"),
    ("no format", also("export: {formats: []}"), "export.formats", "got []", "at least 1"),
    ("number for a run", also("reuse: [3]"), "reuse[0]", "got 3", "for example reuse: runs/old"),
    ("text for a list", also("export: {formats: keras}"), "export.formats", "got 'keras'", "[keras, saved_model]"),
]

DATA_SECTIONS = [
    ("source", data("{source: digts}"), "data.source", "got 'digts'", "did you mean 'digits'?"),
    ("no source", data("{limit: 3}"), "data.source", "got nothing", "add source:"),
    ("field of another source", data("{source: digits, path: x.npz}"), "data.path", "'x.npz'", "remove path or change"),
    ("no keras name", data("{source: keras}"), "data.name", "got nothing", "mnist, fashion_mnist, cifar10"),
    ("no training file", data("{source: parquet}"), "data.train", "got nothing", "give train: train.parquet"),
    ("url", data("{source: npz, path: 's3://a/b'}"), "data.path", "'s3://a/b'", "copy the data to a local"),
    ("function", data("{source: python, function: load}"), "data.function", "'load'", "for example 'my_data:load'"),
    ("missing file", data("{source: npz, path: digit.npz}"), "data.path", "got 'digit.npz'", "mean 'digits.npz'?"),
    ("missing split", data("{source: npz, train: digits.npz, test: z}"), "data.test", "got 'z'", "correct the path"),
    ("empty path", data("{source: npz, path: ''}"), "data.path", "got ''", "name a file or folder"),
    ("unknown home", data("{source: npz, path: ~nobody-x/a}"), "data.path", "'~nobody-x/a'", "correct the path"),
    ("endless path", data(f"{{source: npz, path: {'a' * 5000}}}"), "data.path", "'aaaaaaaa", "correct the path"),
    ("limit", data("{source: digits, limit: true}"), "data.limit", "got True", "not true or false"),
    ("fraction", data("{source: digits, test_fraction: 1}"), "data.test_fraction", "got 1", "less than 1"),
    ("fraction nan", data("{source: digits, test_fraction: .nan}"), "data.test_fraction", "nan", "less than 1"),
    ("one side", data("{source: digits, image_size: 32}"), "data.image_size", "got 32", "image_size: [32, 32]"),
    ("three sides", data("{source: digits, image_size: [1, 2, 3]}"), "data.image_size", "[1, 2, 3]", "at most 2"),
    ("channels", data("{source: digits, channels: '3'}"), "data.channels", "got '3'", "write 3 without quotes"),
]

SPACES = [
    ("built-in", space("cnn-smal"), "space", "'cnn-smal'", "did you mean 'cnn-small'?"),
    ("base", space("{base: 3}"), "space.base", "called 3", f"there are {BUILT_IN}"),
    ("not a space", space("[1]"), "space", "got [1]", f"a built-in space ({BUILT_IN})"),
    ("no family", space("{params: {filters: 8}}"), "space.family", "got nothing", "write family: sequential"),
    (
        "a mapping among families",
        params("filters: 8", family="{choice: [{a: 1}, sequential]}"),
        "space.family.choice",
        "got {'a': 1}",
        "a flat list of these",
    ),
    ("family", params("filters: 8", family="sequental"), "space.family", "'sequental'", "mean 'sequential'?"),
    ("parameter", params("filter: 8"), "space.params.filter", "no parameter 'filter'", "mean 'filters'?"),
    ("far parameter", params("zebra: 8"), "space.params.zebra", "no parameter 'zebra'", "it has optimizer"),
    ("bool for a name", params("on: 8"), "space.params", "got True", "so quote them"),
    ("ends", params("filters: {int: [9, 8]}"), "space.params.filters.int", "got [9, 8]", "swap the ends"),
    ("three ends", params("filters: {int: [1, 2, 3]}"), "space.params.filters.int", "[1, 2, 3]", "write choice"),
    ("text for an end", params("filters: {int: [a, 9]}"), "space.params.filters.int", "got 'a'", "a whole number"),
    ("nan for an end", params("dropout: {float: [0, .nan]}"), "space.params.dropout.float", "got nan", "finite"),
    ("log from 0", params("dropout: {float: [0, 0.5], log: true}"), "space.params.dropout.float", "got 0", "1e-5"),
    ("step 0", params("dropout: {float: [0, 0.5], step: 0}"), "space.params.dropout.float", "got 0", "positive step"),
    ("two domains", params("filters: {int: [1, 2], choice: [1]}"), "space.params.filters", "int and choice", "{int:"),
    ("no options", params("filters: {choice: []}"), "space.params.filters.choice", "got []", "name the values"),
    ("option twice", params("filters: {choice: [8, 8]}"), "space.params.filters.choice", "got 8 more", "remove the"),
    (
        "unknown parent",
        params("momentum: {fixed: 0.9, when: {optimiser: sgd}}, optimizer: {choice: [sgd, adam]}"),
        "space.params.momentum.when.optimiser",
        "'optimiser'",
        "did you mean 'optimizer'?",
    ),
    (
        "parent without that value",
        params("momentum: {fixed: 0.9, when: {optimizer: sdg}}, optimizer: {choice: [sgd, adam]}"),
        "space.params.momentum.when.optimizer",
        "got 'sdg'",
        "one of 'sgd', 'adam'",
    ),
    (
        "conditions in a circle",
        params("filters: {fixed: 8, when: {stride: 1}}, stride: {fixed: 1, when: {filters: 8}}"),
        "space.params.filters.when",
        "filters -> stride -> filters",
        "remove one of them",
    ),
    (
        "parameter of one family",
        params("num_blocks: 2", family="{choice: [sequential, residual]}"),
        "space.params.num_blocks",
        "'residual' does not have it",
        "add when: {family: sequential}",
    ),
    ("range", params("kernel_size: {int: [1, 99]}"), "space.params.kernel_size", "got 99", "an int >= 1 and <= 15"),
    ("option", params("optimizer: {choice: [adm]}"), "space.params.optimizer", "got 'adm'", "one of 'adam'"),
    ("kind", params("batch_norm: {choice: [1]}"), "space.params.batch_norm", "got 1", "must be a bool"),
    (
        "grid",
        space("cnn-small\nsearch: {algorithm: grid}"),
        "search.algorithm",
        "continuous dropout",
        "give them a step",
    ),
    (
        "endless grid",
        params("filters: {int: [1, 4096]}, dense_units: {int: [0, 65536]}") + "search: {algorithm: grid}\n",
        "search.trials",
        "268,439,552 variants",
        "for example trials: 100",
    ),
]


def table(*groups: list[tuple[str, object, str, str, str]]) -> list[object]:
    return [pytest.param(row[1:], id=row[0]) for rows in groups for row in rows]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder with a data file in it."""
    (tmp_path / "digits.npz").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def convfleet(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Outcome]:
    def call(*arguments: str) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["convfleet", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        captured = capsys.readouterr()
        return int(ended.value.code or 0), captured.out + captured.err

    return call


@pytest.mark.parametrize("row", table(NOT_YAML))
def test_file_that_is_no_mapping_is_refused_with_its_place(convfleet: Convfleet, folder: Path, row: Row) -> None:
    text, place, received, fix = row
    (folder / "bad.yaml").write_text(text, encoding="utf-8")
    code, output = convfleet("validate", "bad.yaml")
    assert code == 2
    assert output.startswith(f"error: bad.yaml{place}")
    assert output.count("\n") == 1
    assert received in output
    assert fix in output


@pytest.mark.parametrize("row", table(UNKNOWN_KEYS, TYPES_AND_BOUNDS, DATA_SECTIONS, SPACES))
def test_one_mistake_is_one_line_with_path_value_and_fix(convfleet: Convfleet, folder: Path, row: Row) -> None:
    text, place, received, fix = row
    (folder / "bad.yaml").write_text(text, encoding="utf-8")
    code, output = convfleet("validate", "bad.yaml")
    assert code == 2
    lines = output.splitlines()
    assert [line.startswith(f"error: bad.yaml: {place}: ") for line in lines] == [True], output
    assert received in lines[0]
    assert fix in lines[0]


def test_all_mistakes_of_a_file_are_told_at_once(convfleet: Convfleet, folder: Path) -> None:
    (folder / "bad.yaml").write_text(
        "name: ../x\nseed: -1\ndata: {source: npz, path: gone.npz}\n"
        "space: {family: sequential, params: {filter: 8, kernel_size: {int: [5, 3]}, stride: 99}}\n"
        "objective: {metric: test_loss}\nschedule: {max_epochs: 3, grace_epochs: 4}\nexprt: {}\n",
        encoding="utf-8",
    )
    code, output = convfleet("run", "bad.yaml")
    assert code == 2
    assert sorted(line.split(": ")[2] for line in output.splitlines()) == [
        "data.path",
        "exprt",
        "name",
        "objective.metric",
        "schedule.grace_epochs",
        "seed",
        "space.params.filter",
        "space.params.kernel_size.int",
        "space.params.stride",
    ]

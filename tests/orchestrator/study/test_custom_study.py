"""Studies of the family `custom`: their function is found when they are loaded; its code is part of what they are."""

from pathlib import Path

import pytest

from orchestrator.errors import StudyFileError
from orchestrator.study.loading import load_study
from orchestrator.study.spec import StudySpec
from search_spaces import Variant, make_variant

NETS = "def build(params, input_shape, targets):\n    ...\n\ndef big(params, shape, targets, extra=1):\n    ...\n"


def write(folder: Path, params: str, *, family: str = "custom", **files: str) -> Path:
    """Writes a study file, and files beside it: `pkg__nets="..."` is pkg/nets.py."""
    for name, text in files.items():
        path = folder / f"{name.replace('__', '/')}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    text = f"name: s\ndata: {{source: digits}}\nspace: {{family: {family}, params: {{{params}}}}}\n"
    (folder / "s.yaml").write_text(text, encoding="utf-8")
    return folder / "s.yaml"


def source(spec: StudySpec) -> str:
    (value,) = spec.space.parameter("source").domain.values()
    return str(value)


def variants(spec: StudySpec) -> list[Variant]:
    return [make_variant(spec.space, values, seed=0) for values in spec.space.grid()]


def complaint(study: Path) -> str:
    with pytest.raises(StudyFileError) as caught:
        load_study(study)
    return str(caught.value)


FOUND = {
    "a function": ("function: 'nets:build'", NETS),
    "a module of a package": ("function: 'pkg.nets:build'", NETS),
    "a choice": ("function: {choice: ['nets:build', 'nets:big']}", NETS),
    "an alias": ("function: 'nets:make'", "from other import build as make\n"),
    "an assignment": ("function: 'nets:make'", "import functools\nmake = functools.partial(print)\n"),
    "behind a condition": ("function: 'nets:make'", "try:\n    import x\nexcept ImportError:\n    make = None\n"),
    "a star": ("function: 'nets:make'", "from other import *\n"),
    "any number of arguments": ("function: 'nets:make'", "def make(*arguments): ...\n"),
    "parameters of its own": ("function: 'nets:build', width: {int: [8, 64]}, batch_norm: true, lr: 3", NETS),
}


@pytest.mark.parametrize("params", [pytest.param(row, id=name) for name, row in FOUND.items()])
def test_a_function_is_found_without_running_it(tmp_path: Path, params: tuple[str, str]) -> None:
    spec = load_study(write(tmp_path, params[0], nets=params[1], pkg__nets=params[1]))
    assert spec.study_dir == str(tmp_path)
    assert source(spec)


REFUSED = {
    "no function": (
        "width: 3",
        "space.params.function: family 'custom' needs it, got nothing; write function: my_nets:",
    ),
    "no reference": (
        "function: build",
        "space.params.function: expected 'module:function', got 'build'; for example 'my",
    ),
    "a number": ("function: 3", "space.params.function: must be a text, got 3"),
    "a condition": (
        "function: {fixed: 'nets:build', when: {width: 8}}, width: {choice: [4, 8]}",
        "space.params.function.when: every variant of family 'custom' needs it, got a condition on width; drop",
    ),
    "no module": ("function: 'nest:build'", "no module nest.py in {folder}, got 'nest:build'; did you mean 'nets'?"),
    "no package": ("function: 'a.b:build'", "no module a/b.py in {folder}, got 'a.b:build'; put it there, or correct"),
    "no function of that name": ("function: 'nets:biuld'", "nets.py has no function 'biuld'; did you mean 'build'?"),
    "nothing like it": ("function: 'nets:zzz'", "nets.py has no function 'zzz'; it has build, big, few, keyword"),
    "too few arguments": (
        "function: 'nets:few'",
        "nets.py, line 6: few must take (params, input_shape, targets), got (params, *, input_shape)",
    ),
    "an argument too many": ("function: 'nets:keyword'", "got (a, b, c, *, d)"),
    "one of a choice": ("function: {choice: ['nets:build', 'nets:bug']}", "has no function 'bug'; did you mean 'big'?"),
    "not Python": ("function: 'broken:build'", "broken.py, line 2: not Python ('(' was never closed); correct it"),
    "imports what is not Python": ("function: 'user:build'", "broken.py, line 2: not Python ('(' was never closed)"),
    "not text": ("function: 'binary:build'", "binary.py"),
    "a slip": (
        "function: 'nets:build', learning_rat: 0.1",
        "space.params.learning_rat: family 'custom' would hand it to its function; did you mean 'learning_rate'?",
    ),
    "another slip": ("function: 'nets:build', batchsize: 8", "did you mean 'batch_size'? If it is yours, call it"),
    "normalization": (
        "function: 'nets:build', normalization: scale",
        "space.params.normalization: family 'custom' ignores it: its function gets pixels of 0-255 and scales them "
        "itself; drop it",
    ),
    "a bad training parameter": (
        "function: 'nets:build', batch_size: 0",
        "space.params.batch_size: must be an int >= 1",
    ),
    "an old source": (
        "function: 'nets:build', source: 'nets=12'",
        "space.params.source: the code of nets in {folder} is",
    ),
}


@pytest.mark.parametrize("row", [pytest.param(row, id=name) for name, row in REFUSED.items()])
def test_what_is_wrong_with_a_function_is_told_when_the_study_is_loaded(tmp_path: Path, row: tuple[str, str]) -> None:
    nets = f"{NETS}def few(params, *, input_shape): ...\ndef keyword(a, b, c, *, d): ...\n"
    broken = {"broken": "\nx = (", "user": "import broken\ndef build(a, b, c): ...\n"}
    study = write(tmp_path, row[0], nets=nets, **broken)
    (tmp_path / "binary.py").write_bytes(bytes(range(128, 256)))
    assert row[1].format(folder=tmp_path) in complaint(study)


@pytest.mark.parametrize(
    ("params", "words"),
    [
        (
            "function: 'nets:build'",
            "space.params.function: family 'sequential' does not have it, got it without a condition; add when: ",
        ),
        (
            "function: {fixed: 'nets:build', when: {family: custom}}, width: 8",
            "space.params.width: family 'sequential' does not have it, got it without a condition; add when: {f",
        ),
        ("function: {fixed: 'nets:build', when: {family: custom}}, filtres: 8", "did you mean 'filters'?"),
        (
            "function: {fixed: 'nets:build', when: {family: custom}}, normalization: symmetric",
            "family 'custom' ignores it: its function gets pixels of 0-255 and scales them itself; add when: {f",
        ),
    ],
)
def test_beside_another_family_parameters_of_ones_own_need_a_condition(tmp_path: Path, params: str, words: str) -> None:
    assert words in complaint(write(tmp_path, params, family="{choice: [sequential, custom]}", nets=NETS))


def test_only_variants_of_the_family_carry_its_source(tmp_path: Path) -> None:
    params = "function: {fixed: 'nets:build', when: {family: custom}}, width: {fixed: 8, when: {family: custom}}"
    spec = load_study(write(tmp_path, f"{params}, filters: 4", family="{choice: [sequential, custom]}", nets=NETS))
    plain, custom = variants(spec)
    assert dict(plain.params) == {"filters": 4}
    assert dict(custom.params) == {"function": "nets:build", "width": 8, "filters": 4, "source": source(spec)}


def test_other_code_is_another_variant_and_comments_elsewhere_are_not(tmp_path: Path) -> None:
    files = {"nets": f"import helper\nfrom pkg import parts\n{NETS}", "helper": "", "pkg__parts": "", "unused": ""}
    study = write(tmp_path, "function: 'nets:build'", **files)
    ids = [variants(load_study(study))[0].variant_id]
    (tmp_path / "unused.py").write_text("# nobody imports this")
    assert variants(load_study(study))[0].variant_id == ids[0]
    for name in ("nets", "helper", "pkg/parts", "pkg/more"):
        path = tmp_path / f"{name}.py"
        path.write_text(f"{path.read_text() if path.exists() else ''}# more\n")
        ids.append(variants(load_study(study))[0].variant_id)
    assert len(set(ids)) == 5


def test_the_expanded_study_is_the_same_study_wherever_it_is_read_from(tmp_path: Path) -> None:
    spec = load_study(write(tmp_path, "function: 'nets:build', width: {int: [1, 3]}", nets=NETS))
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "study.yaml").write_text(spec.to_yaml())
    again = load_study(tmp_path / "run" / "study.yaml")
    assert again == spec
    assert again.study_id == spec.study_id


def test_a_run_whose_code_was_changed_does_not_go_on(tmp_path: Path) -> None:
    params = "function: {choice: ['nets:build', 'small:build']}"
    spec = load_study(write(tmp_path, params, nets=NETS, small=NETS))
    (tmp_path / "run").mkdir()
    expanded = tmp_path / "run" / "study.yaml"
    expanded.write_text(spec.to_yaml())
    (tmp_path / "small.py").write_text(f"{NETS}# changed")
    told = complaint(expanded)
    assert f"space.params.source: the code of small in {tmp_path} is not what the run began with (got " in told
    assert "restore the file, or run the study anew in a new folder with `convfleet run`" in told
    (tmp_path / "small.py").unlink()
    assert f"no module small.py in {tmp_path}" in complaint(expanded)
    (tmp_path / "small.py").write_text(NETS)
    assert load_study(expanded) == spec


OWN_METRICS = [
    ("{metric: val_sureness, mode: max}", "", ("val_sureness", "max")),
    ("{metric: val_reconstruction_loss}", "", ("val_reconstruction_loss", "min")),
    ("{metric: val_acuracy, mode: max}", "", ("val_acuracy", "max")),
    ("{metric: val_sureness}", "objective.mode: which is better of val_sureness, a number of your own?", None),
    ("{metric: val_acuracy}", "write mode: max or mode: min; did you mean 'val_accuracy'?", None),
    ("{metric: val_loss, mode: max}", "objective.mode: val_loss is better when it is smaller, got 'max'", None),
    ("{metric: test_sureness, mode: max}", "must not be a test metric", None),
]


@pytest.mark.parametrize(("objective", "words", "found"), OWN_METRICS)
def test_a_number_of_the_models_own_may_be_the_objective(
    tmp_path: Path, objective: str, words: str, found: tuple[str, str] | None
) -> None:
    study = write(tmp_path, "function: 'nets:build'", nets=NETS)
    study.write_text(f"{study.read_text()}objective: {objective}\n")
    if found is None:
        assert words in complaint(study)
    else:
        spec = load_study(study)
        assert (spec.objective.metric, spec.objective.mode) == found


def test_beside_another_family_the_objective_is_one_that_all_have(tmp_path: Path) -> None:
    params = "function: {fixed: 'nets:build', when: {family: custom}}"
    study = write(tmp_path, params, family="{choice: [sequential, custom]}", nets=NETS)
    study.write_text(f"{study.read_text()}objective: {{metric: val_sureness, mode: max}}\n")
    assert "objective.metric: must be one of val_accuracy, val_loss" in complaint(study)

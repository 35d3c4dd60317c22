"""Studies of the family `keras_tuner`: loading finds their parameters, which stay what a run began with."""

import sys
from pathlib import Path

import pytest
from hypermodels import GUIDE, HEADER

from orchestrator.errors import StudyFileError
from orchestrator.study.loading import load_study

#: Notes each call in a file, so that a test sees whether a load called it.
NOTING = f"import pathlib\n{HEADER}{GUIDE}".replace(
    "    model = ", "    with pathlib.Path(__file__).with_name('calls').open('a') as f: f.write('.')\n    model = ", 1
)


def write(
    folder: Path, params: str, *, family: str = "keras_tuner", text: str = HEADER + GUIDE, more: str = ""
) -> Path:
    (folder / "nets.py").write_text(text, encoding="utf-8")
    text = f"name: s\ndata: {{source: digits}}\nspace: {{family: {family}, params: {{{params}}}{more}}}\n"
    (folder / "s.yaml").write_text(text, encoding="utf-8")
    return folder / "s.yaml"


def complaint(study: Path) -> str:
    with pytest.raises(StudyFileError) as caught:
        load_study(study)
    return str(caught.value)


def test_a_run_has_the_space_in_its_file_and_never_looks_for_it_again(tmp_path: Path) -> None:
    study = write(
        tmp_path, "function: 'nets:build', num_blocks: 1, kernel_0: {choice: [3]}, batch_size: 32", text=NOTING
    )
    spec = load_study(study)
    space = spec.space
    assert space.parameter("num_blocks").domain.values() == [1]
    # What only two blocks ask for is gone, and no condition on the others is left.
    assert "filters_1" not in space.names
    assert set(space.names) >= {"filters_0", "pool_0", "units", "learning_rate", "batch_size", "source"}
    calls = (tmp_path / "calls").read_text()
    assert len(calls) > 20
    (tmp_path / "run").mkdir()
    expanded = tmp_path / "run" / "study.yaml"
    expanded.write_text(spec.to_yaml())
    again = load_study(expanded)
    assert (again, again.study_id) == (spec, spec.study_id)
    assert (tmp_path / "calls").read_text() == calls
    (tmp_path / "nets.py").write_text(f"{NOTING}# changed")
    assert f"space.params.source: the code of nets in {tmp_path} is not what the run began with" in complaint(expanded)
    assert (tmp_path / "calls").read_text() == calls


def test_what_does_not_fit_the_parameters_found_is_said_together(tmp_path: Path) -> None:
    params = (
        "function: 'nets:build', num_blocks: {int: [1, 3]}, filters_0: {choice: [4, 16]}, leraning_rate: 0.01, "
        "learning_rate: {float: [1.0e-5, 1.0e-2]}, pool_0: {choice: [true], when: {num_blocks: 1}}, kernel_0: 3"
    )
    text = HEADER + GUIDE.replace("rate = ", "hp.Choice('precision', ['a'])\n    rate = ")
    words = complaint(write(tmp_path, params, text=text))
    for expected in (
        "function: your code asks for 'precision', which is also a parameter of the study; rename it in your code",
        "num_blocks: expected a part of what your code asks for, a whole number from 1 to 2, got 3; narrow it, or",
        "filters_0: expected a part of what your code asks for, one of 4, 8, got 16; narrow it, or change your code",
        "leraning_rate: your code does not ask for 'leraning_rate'; did you mean 'learning_rate'?; it asks for num_",
        "learning_rate: expected a part of what your code asks for, a number from 0.001 to 0.1, got 1e-05; narrow it",
        "pool_0.when: your code says when it asks for it, got a condition; drop it",
    ):
        assert f"s.yaml: space.params.{expected}" in words
    assert "kernel_0" not in words.replace("filters_0, kernel_0", "")


def test_an_error_of_the_users_is_said_with_its_line(tmp_path: Path) -> None:
    words = complaint(write(tmp_path, "function: 'nets:build'", text=f"{HEADER}def build(hp):\n    return 1 / 0\n"))
    assert words.endswith("s.yaml: space.params.function: nets.py:6: ZeroDivisionError: division by zero")


def test_without_keras_tuner_the_way_to_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keras_tuner", None)
    assert complaint(write(tmp_path, "function: 'nets:build'")).endswith(
        "s.yaml: space.params.function: family 'keras_tuner' needs Keras Tuner, which is not installed; "
        "pip install 'convfleet[keras-tuner]'"
    )


#: Said without calling anything.
REFUSED = {
    "no function": (
        "num_blocks: 1",
        "keras_tuner",
        "",
        "space.params.function: family 'keras_tuner' needs it, got nothing; write function: my_nets:build",
    ),
    "no reference": (
        "function: build",
        "keras_tuner",
        "",
        "expected 'module:function', got 'build'; for example 'my_ne",
    ),
    "a number": ("function: 3", "keras_tuner", "", "space.params.function: must be a text, got 3"),
    "no module": (
        "function: 'nest:build'",
        "keras_tuner",
        "",
        "no module nest.py in {folder}, got 'nest:build'; did you",
    ),
    "no function of that name": (
        "function: 'nets:biuld'",
        "keras_tuner",
        "",
        "no function, class or object 'biuld'; did",
    ),
    "too many arguments": ("function: 'nets:few'", "keras_tuner", "", "few must take (hp), got (a, b)"),
    "a choice": (
        "function: {{choice: ['nets:build', 'nets:few']}}",
        "keras_tuner",
        "",
        "space.params.function: each function has a space of its own, got ['nets:build', 'nets:few']; make a study",
    ),
    "another family beside": (
        "function: 'nets:build'",
        "{{choice: [keras_tuner, sequential]}}",
        "",
        "space.family: 'keras_tuner' has your code's names for its parameters, so it stands alone, got {{'choice': [",
    ),
    "a base": (
        "function: 'nets:build'",
        "keras_tuner",
        ", base: cnn-small",
        "space.base: family 'keras_tuner' finds its parameters in your code, got 'cnn-small'; drop it",
    ),
    "an old source": (
        "function: 'nets:build', source: 'nets=12'",
        "keras_tuner",
        "",
        "the code of nets in {folder} is",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_wrong_with_a_hypermodel_is_said_without_calling_it(tmp_path: Path, case: str) -> None:
    params, family, more, words = REFUSED[case]
    text = f"{NOTING}\ndef few(a, b): ...\n"
    study = write(tmp_path, params.format(), family=family.format(), text=text, more=more)
    assert words.format(folder=tmp_path) in complaint(study)
    assert not (tmp_path / "calls").exists()

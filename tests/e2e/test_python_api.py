"""The examples in the docstrings of the public Python functions, run one after the other as they stand."""

import inspect
import re
import textwrap

import numpy as np
import pytest
from PIL import Image

import convfleet

pytestmark = pytest.mark.slow

#: The order in which they find what they name: `run_study` makes the run that those after it open.
ORDER = [
    "study_for",
    "run_study",
    "open_run",
    "StudyResult",
    "export_study",
    "predict_images",
    "evaluate_export",
    "Registry",
    "resume_study",
    "OrchestratorError",
    "StudyFailedError",
    "StudyPausedError",
]


#: What these do runs in test_ensembles.py and in the snippets of docs/howto/many-models.md.
ELSEWHERE = ["ensemble_study", "models"]


def example_of(name):
    """Returns the code below `::` in the Examples section of a docstring; an empty text if it has none."""
    section = inspect.getdoc(getattr(convfleet, name)).partition("\nExamples:\n")[2]
    lines = textwrap.dedent(section.partition("::\n")[2]).splitlines()
    # The section ends at the next heading, which stands further left.
    indent = min((len(line) - len(line.lstrip()) for line in lines if line.startswith("        ")), default=0)
    kept = []
    for line in lines:
        if line and not line.startswith(" " * indent):
            break
        kept.append(line)
    return textwrap.dedent("\n".join(kept)).strip()


def test_every_example_is_run_here_or_as_a_doctest():
    names = [name for name in convfleet.__all__ if name != "__version__"]
    assert {name for name in names if example_of(name)} == {*ORDER, *ELSEWHERE}
    assert all(">>> " in inspect.getdoc(getattr(convfleet, name)) for name in set(names) - {*ORDER, *ELSEWHERE})


@pytest.fixture(scope="module")
def outputs(run_python, tmp_path_factory):
    folder = tmp_path_factory.mktemp("python")
    for number in range(40):
        path = folder / "flowers" / ("daisy", "tulip")[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.random.default_rng(number).integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(path)
    return {name: run_python(example_of(name), name=name, folder=folder) for name in ORDER}


def test_a_study_for_a_folder(outputs):
    assert outputs["study_for"] == "('sequential',) 9.0\n"


def test_a_run_and_its_leaderboard(outputs):
    assert "trial:" in outputs["run_study"]
    assert "family:" in outputs["open_run"]
    assert "'trial': 't0" in outputs["StudyResult"]


def test_exports_and_extensions(outputs):
    assert outputs["export_study"].rstrip().endswith("model.keras")
    assert outputs["resume_study"] == "5\n"


def test_answers_and_scores_of_an_export(outputs):
    refused = outputs["predict_images"].splitlines()
    assert len(refused) == 40
    assert all("is 16x16 (height x width), the model was trained on images of 8x8" in line for line in refused)
    assert re.fullmatch(r"0\.\d+ \[0\.\d+, 0\.\d+\]\n", outputs["evaluate_export"])


def test_a_model_by_name(outputs):
    assert outputs["Registry"] == f"1 {[str(digit) for digit in range(10)]}\n"


def test_errors_that_a_caller_catches(outputs):
    assert outputs["OrchestratorError"].startswith("error: runs/no-such-run: no such run folder")
    assert outputs["StudyFailedError"].startswith("cannot work: resources: a trial asks for cpus_per_trial 100000")
    assert outputs["StudyPausedError"] == ""

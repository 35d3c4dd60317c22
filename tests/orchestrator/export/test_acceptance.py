"""Which file a study accepts: laws of the choice, and where it is written, read and shown."""

import json
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from orchestrator.errors import StudyFileError
from orchestrator.export.acceptance import accepted_in, choose_smallest, cost_of, write_choice
from orchestrator.export.exported_files import ExportedFile, exported_files
from orchestrator.journal.study_state import fold
from orchestrator.runs.paths import RunFolder
from orchestrator.study.loading import load_study
from orchestrator.views.report.export_sections import formats_section
from orchestrator.views.terminal.status_json import status_json
from orchestrator.views.terminal.summary import print_summary
from trainables.files.manifests import damage_of, fingerprints, sealed
from trainables.specs.export import FILES, FORMAT_NAMES

#: What a study accepts: as large as what files give up.
DROPS = st.floats(0, 0.1)


@st.composite
def files(draw: Any) -> list[ExportedFile]:
    """One to three models in some formats; some left out, some of unknown metric."""
    found = []
    for rank in range(1, draw(st.integers(1, 3)) + 1):
        validation = draw(st.floats(0.9, 1))
        for name in draw(st.lists(st.sampled_from(FORMAT_NAMES), min_size=1, max_size=5, unique=True)):
            is_left_out = draw(st.booleans()) and draw(st.booleans())
            measured: dict[str, Any] = {
                "size_bytes": draw(st.integers(1, 10)),
                "drop": draw(st.one_of(st.none(), st.floats(-0.1, 0.1))),
                "validation": validation,
            }
            found.append(file(name, rank=rank, **({"problem": "unfaithful"} if is_left_out else measured)))
    return found


def file(name: str, *, rank: int = 1, **measured: Any) -> ExportedFile:
    return ExportedFile(
        rank=rank, trial=f"t{rank:04}", format=name, path=Path(f"exports/{rank}-t{rank:04}") / FILES[name], **measured
    )


@settings(max_examples=30, deadline=None)
@given(files(), DROPS)
def test_no_smaller_file_is_good_enough_and_the_accepted_one_is(found: list[ExportedFile], drop: float) -> None:
    choice = choose_smallest(found, accuracy_drop=drop, objective="val_accuracy")
    costs = [(cost_of(item, among=found), item) for item in found]
    good = [item for cost, item in costs if cost is not None and cost.total <= drop]
    if choice.file is None:
        assert not good
        return
    cost = cost_of(choice.file, among=found)
    assert cost == choice.cost
    assert cost is not None
    assert cost.total <= drop + 1e-6
    assert min(cost.model, cost.format) >= 0
    assert not choice.file.problem
    sizes = [item.size_bytes for item in good if item.size_bytes is not None]
    assert choice.file.size_bytes == min([*sizes, choice.file.size_bytes])


@pytest.mark.parametrize("right", range(1, 101, 7))
def test_one_image_of_a_hundred_is_one_percent_though_metrics_are_float32(right: int) -> None:
    before, after = (float(np.float32(count / 100)) for count in (right, right - 1))
    one = file("litert", size_bytes=5, drop=before - after, validation=0.9)
    assert choose_smallest([one], accuracy_drop=0.01, objective="val_accuracy").file is one
    assert choose_smallest([one], accuracy_drop=0.0099, objective="val_accuracy").file is None


@settings(max_examples=30, deadline=None)
@given(files(), DROPS, DROPS)
def test_who_accepts_more_gets_a_file_that_is_no_larger(found: list[ExportedFile], one: float, other: float) -> None:
    strict, lax = sorted((one, other))
    before = choose_smallest(found, accuracy_drop=strict, objective="val_accuracy").file
    after = choose_smallest(found, accuracy_drop=lax, objective="val_accuracy").file
    if before is not None:
        assert after is not None
        assert (after.size_bytes or 0) <= (before.size_bytes or 0)


@settings(max_examples=30, deadline=None)
@given(files(), DROPS, st.randoms(use_true_random=False))
def test_the_order_of_files_decides_nothing(found: list[ExportedFile], drop: float, random: Any) -> None:
    shuffled = random.sample(found, len(found))
    first, second = (
        choose_smallest(items, accuracy_drop=drop, objective="val_accuracy") for items in (found, shuffled)
    )
    assert first.words == second.words


def test_what_is_given_up_is_said_in_words() -> None:
    found = [
        file("keras", size_bytes=48_000, drop=0.0, validation=0.95),
        file("litert", size_bytes=40_000, drop=0.0, validation=0.95),
        file("litert_int8", size_bytes=12_000, drop=0.004, validation=0.95),
        file("litert_int8", rank=2, size_bytes=9_000, drop=-0.01, validation=0.945),
    ]
    words = [choose_smallest(found, accuracy_drop=drop, objective="val_accuracy").words for drop in (0.0, 0.0045, 0.01)]
    assert words == [
        "1-t0001/model.tflite (40,000 bytes) is the smallest file that gives up at most 0; it gives up nothing",
        "1-t0001/model_int8.tflite (12,000 bytes) is the smallest file that gives up at most 0.0045; it gives up "
        "0.004 of test accuracy to its format; the smallest that gives up nothing is 1-t0001/model.tflite (40,000 "
        "bytes)",
        "2-t0002/model_int8.tflite (9,000 bytes) is the smallest file that gives up at most 0.01; it gives up 0.005 of "
        "val_accuracy to the best exported model; the smallest that gives up nothing is 1-t0001/model.tflite (40,000 "
        "bytes)",
    ]
    only = choose_smallest(found[2:3], accuracy_drop=0.001, objective="val_accuracy")
    assert only.file is None
    assert only.words == (
        "no file gives up at most 0.001; the nearest is 1-t0001/model_int8.tflite (12,000 bytes), which gives up 0.004 "
        "of test accuracy to its format"
    )
    assert choose_smallest([], accuracy_drop=1, objective="val_accuracy").words == (
        "no exported file has a test metric of the objective"
    )


@pytest.fixture
def run(make_sweep: Any, tmp_path: Path) -> tuple[Any, RunFolder]:
    """A state and a folder with an export of three formats, one of which was left out."""
    state, folder = fold(make_sweep()), RunFolder(tmp_path / "run")
    (item,) = state.exports
    path = folder.root / item.folder
    path.mkdir(parents=True)
    sizes = {
        "model.keras": 3000,
        "model_int8.tflite": 1000,
        "openvino/model.xml": 4000,
        "openvino_int8/model.xml": 2000,
    }
    for name, size in sizes.items():
        (path / name).parent.mkdir(exist_ok=True)
        (path / name).write_bytes(b"w" * size)
    latency = {"1": {"p50": 0.0002, "p95": 0.0003}, "32": {"p50": 0.003, "p95": 0.004}}
    measured = {
        "agreement": {"label": 0.9921},
        "test_metrics": {"accuracy": 0.806, "loss": 0.61},
        "metric_changes": {"accuracy": -0.006, "loss": 0.01},
        "latency_seconds": latency,
    }
    manifest = {
        "metrics": {"val_accuracy": 0.7852},
        "test_metrics": dict(item.test_metrics),
        "parity_max_difference": {"keras": 0.0, "litert_int8": 0.03, "openvino": 0.0, "openvino_int8": 0.9},
        "parity_agreement": {"keras": {"label": 1.0}},
        "runtimes": {"litert_int8": measured},
        "formats_left_out": {"onnx_int8": "t0003: model_int8.onnx: <celu>"},
        "files": fingerprints(path),
    }
    (path / "manifest.json").write_text(json.dumps(sealed(manifest)), encoding="utf-8")
    return state, folder


def test_the_choice_is_written_into_the_manifest_once_and_taken_out_again(run: tuple[Any, RunFolder]) -> None:
    state, folder = run
    paths = [folder.root / item.folder for item in state.exports]
    for drop, expected in ((0.01, "litert_int8"), (0.001, "keras")):
        choice = choose_smallest(exported_files(state, folder=folder), accuracy_drop=drop, objective="val_accuracy")
        write_choice(choice, accuracy_drop=drop, exports=paths)
        found = accepted_in(paths)
        assert (found["format"], found["accuracy_drop"]) == (expected, drop)
        assert found["path"] == str(paths[0] / FILES[expected])
        assert damage_of(paths[0]) == ""
    before = (paths[0] / "manifest.json").stat().st_mtime_ns
    write_choice(choice, accuracy_drop=drop, exports=paths)
    assert (paths[0] / "manifest.json").stat().st_mtime_ns == before
    write_choice(choose_smallest([], accuracy_drop=drop, objective="val_accuracy"), accuracy_drop=drop, exports=paths)
    assert accepted_in(paths) == {}
    assert damage_of(paths[0]) == ""


def test_summary_report_and_json_have_the_same_table_and_the_accepted_file(run: tuple[Any, RunFolder]) -> None:
    state, folder = run
    paths = [folder.root / item.folder for item in state.exports]
    choice = choose_smallest(exported_files(state, folder=folder), accuracy_drop=0.01, objective="val_accuracy")
    write_choice(choice, accuracy_drop=0.01, exports=paths)
    rows = [
        ["1", "keras", "3,000", "100.0%", "0.812", "-", "-", "yes"],
        ["1", "litert_int8", "1,000", "99.2%", "0.806", "0.20 ms", "3.00 ms", "yes"],
        ["1", "onnx_int8", "-", "-", "-", "-", "-", "no: t0003: model_int8.onnx: <celu>"],
        ["1", "openvino", "4,000", "-", "0.812", "-", "-", "yes"],
        ["1", "openvino_int8", "2,000", "-", "0.812", "-", "-", "yes"],
    ]
    console = Console(file=StringIO(), width=140, color_system=None)
    print_summary(console, state, folder=folder)
    lines = [" ".join(line.split()) for line in console.file.getvalue().splitlines()]  # type: ignore[attr-defined]
    assert all(" ".join(row) in lines for row in rows)
    assert f"accept {choice.words}" in lines
    page = formats_section(state, folder=folder)
    assert all(f">{cell.replace('<', '&lt;').replace('>', '&gt;')}</td>" in page for row in rows for cell in row)
    assert choice.words in page
    found = status_json(state, folder=folder, is_alive=False)
    assert found["accepted"]["gives_up"] == {"model": 0.0, "format": 0.006}
    assert [(entry["format"], entry["size_bytes"]) for entry in found["formats"]] == [
        ("keras", 3000),
        ("litert_int8", 1000),
        ("onnx_int8", None),
        ("openvino", 4000),
        ("openvino_int8", 2000),
    ]


def test_an_export_without_a_readable_manifest_has_no_table(run: tuple[Any, RunFolder]) -> None:
    state, folder = run
    (folder.root / state.exports[0].folder / "manifest.json").write_text("{}", encoding="utf-8")
    assert exported_files(state, folder=folder) == []
    assert formats_section(state, folder=folder) == ""
    assert "formats" not in status_json(state, folder=folder, is_alive=False)


@pytest.mark.parametrize(
    ("study", "message"),
    [
        (
            {"export": {"accept": {"accuracy_drop": 1.5}}},
            "study: export.accept.accuracy_drop: must be less than or equal to 1, got 1.5; for example "
            "accuracy_drop: 0.01",
        ),
        (
            {"export": {"accept": {"acuracy_drop": 0.1}}},
            "study: export.accept.accuracy_drop: is required, got nothing; add accuracy_drop: ...; for example "
            "accuracy_drop: 0.01",
        ),
        (
            {"export": {"accept": {"accuracy_drop": 0.1}}, "objective": {"metric": "val_loss"}},
            "study: export.accept: needs an objective.metric of the validation split that is better when higher, got "
            "'val_loss' (min); remove export.accept, or choose such a metric",
        ),
    ],
)
def test_what_a_study_cannot_accept_is_refused_in_words(study: dict[str, Any], message: str) -> None:
    with pytest.raises(StudyFileError) as caught:
        load_study({"name": "s", "data": {"source": "digits"}, "space": "cnn-small", **study})
    assert message in str(caught.value).splitlines()


def test_a_study_with_accept_is_written_and_read_again() -> None:
    study = {"name": "s", "data": {"source": "digits"}, "space": "cnn-small"}
    spec = load_study({**study, "export": {"accept": {"accuracy_drop": 0.01}}})
    assert spec.export.accept is not None
    assert spec.export.accept.accuracy_drop == 0.01
    assert "accuracy_drop: 0.01" in spec.to_yaml()
    assert load_study(study).export.accept is None

"""An ensemble of a run: predictions are computed once, a kill loses none, and no win is claimed that is none."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from orchestrator.ensembles import ensembles
from orchestrator.ensembles.ensembles import Ensembles
from orchestrator.ensembles.outcome import table_rows, trajectory_lines
from orchestrator.ensembles.predictions import KeptPredictions
from orchestrator.ensembles.wanted import WantedEnsemble
from orchestrator.errors import ExportError, InputError
from orchestrator.journal.file import Journal, read_journal
from orchestrator.journal.recorder import Recorder
from orchestrator.journal.records import EnsembleExported
from orchestrator.journal.study_state import fold
from orchestrator.results.chance import paired_p_value
from orchestrator.results.from_state import placed
from orchestrator.runs.paths import RunFolder
from search_spaces import Variant
from trainables.checkpoints.checkpoint import checkpoint_folder
from trainables.ensembles.requests import (
    Candidate,
    EnsembleAnswer,
    EnsembleRequest,
    MeasuredModel,
    PredictionAnswer,
    PredictionRequest,
    SoupAnswer,
)
from trainables.specs.export import ExportResult
from trainables.specs.task import Target, Task

LABELS = np.array([0, 0, 1, 1])
RIGHT, WRONG = [0.9, 0.1], [0.4, 0.6]
TASK = Task.classification(input_shape=(8, 8, 1), num_classes=2)
WANTED = WantedEnsemble(method="greedy", size=4, formats=("keras",))


class Killed(BaseException):
    """SIGKILL, as seen from inside."""


def measured(accuracy: float, *, size: int | None = 2_000_000) -> MeasuredModel:
    return MeasuredModel(
        test_metrics={"accuracy": accuracy, "loss": 0.5},
        num_parameters=1234,
        size_bytes=size,
        latency_seconds={"1": 0.002, "32": 0.03},
    )


class Bench:
    """A finished run whose workers are functions of the test."""

    def __init__(self, folder: RunFolder, journal: Journal, records: Sequence[Any]) -> None:
        self.folder, self.state = folder, fold(records)
        self.board = [(item.trial.name, item.report.epoch) for item in placed(self.state)]
        self.asked: list[str] = []
        self.exported: list[EnsembleRequest] = []
        self.outputs: dict[str, np.ndarray] = {}
        self.notes: list[str] = []
        self.kill_after = 99
        self.only_right = (9, 1)
        self.recorder = Recorder(journal, state=self.state, folder=folder, clock=lambda: 1_760_000_600.0)

    def keep(self, place: int, rows: Sequence[Sequence[float]]) -> str:
        """Keeps the best checkpoint of the leaderboard's trial at a place, which predicts these rows."""
        trial, epoch = self.board[place]
        checkpoint_folder(self.folder.checkpoints / trial, epoch=epoch).mkdir(parents=True, exist_ok=True)
        self.outputs[f"{trial}-{epoch:04d}"] = np.array(rows, np.float32)
        return f"{trial}-{epoch:04d}"

    def make(self, wanted: WantedEnsemble = WANTED, *, task: Task = TASK) -> Any:
        space = SimpleNamespace(check_if_due=lambda *_, **__: None, space_note=lambda _: "")
        worker: Any = SimpleNamespace(
            dataset=SimpleNamespace(task=task, fingerprint="f1", num_validation=len(LABELS)),
            remote=None,
            checkpoints=str(self.folder.checkpoints),
        )
        unused: Any = space
        return Ensembles(
            folder=self.folder,
            recorder=self.recorder,
            worker=worker,
            num_concurrent=1,
            space=unused,
            notify=self.notes.append,
        ).make(wanted)

    def run_predictions(self, requests: Sequence[PredictionRequest]) -> Iterator[Any]:
        for request in requests:
            if len(self.asked) == self.kill_after:
                raise Killed
            names = {epoch: f"{request.trial}-{epoch:04d}" for epoch in request.epochs}
            self.asked += names.values()
            yield None
            yield PredictionAnswer(
                trial=request.trial, outputs={epoch: self.outputs[name] for epoch, name in names.items()}
            )

    def run_ensemble(self, request: EnsembleRequest) -> Iterator[Any]:
        self.exported.append(request)
        yield EnsembleAnswer(
            export=ExportResult(
                rank=0, trial=request.trial, folder=request.export.folder, test_metrics={"accuracy": 0.75}
            ),
            ensemble=measured(0.75),
            single=measured(0.5, size=None),
            only_right=self.only_right,
        )


@pytest.fixture
def bench(tmp_path: Path, make_sweep: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    folder = RunFolder(tmp_path / "run")
    folder.root.mkdir()
    records = make_sweep()
    with Journal(folder.journal) as journal:
        for record in records:
            journal.append(record)
        made = Bench(folder, journal, records)
        split = SimpleNamespace(labels={"label": LABELS}, indices=np.arange(len(LABELS)))
        monkeypatch.setattr(ensembles, "open_dataset", lambda info: SimpleNamespace(validation=split))
        monkeypatch.setattr(ensembles, "run_predictions", made.run_predictions)
        monkeypatch.setattr(ensembles, "run_ensemble", made.run_ensemble)
        yield made


def helpful(bench: Bench) -> list[str]:
    """Keeps two checkpoints that are wrong on different images: their votes are right on all."""
    return [
        bench.keep(0, [[0.8, 0.2], [0.4, 0.6], [0.2, 0.8], [0.2, 0.8]]),
        bench.keep(1, [[0.4, 0.6], [0.8, 0.2], [0.3, 0.7], [0.3, 0.7]]),
    ]


def test_predictions_are_computed_once_and_a_kill_loses_none_of_those_that_were(bench: Bench) -> None:
    kept = helpful(bench)
    bench.kill_after = 1
    with pytest.raises(Killed):
        bench.make()
    bench.kill_after = 99
    first = bench.make()
    assert bench.asked == kept
    assert bench.make().to_json() == first.to_json()
    assert bench.asked == kept, "the second call reads them"


def test_what_is_damaged_or_of_other_images_is_predicted_again(tmp_path: Path) -> None:
    candidate = Candidate(trial="t0001", variant=Variant(family="sequential", params={}, seed=1), epoch=3)
    outputs = np.array([[0.25, 0.75], [1.0, 0.0]], np.float32)
    kept = KeptPredictions(tmp_path, fingerprint="f1", num_images=2)
    assert kept.read(candidate) is None
    kept.write(candidate, outputs)
    np.testing.assert_array_equal(kept.read(candidate), outputs)
    others = [
        KeptPredictions(tmp_path, fingerprint="f2", num_images=2).read(candidate),
        KeptPredictions(tmp_path, fingerprint="f1", num_images=3).read(candidate),
        kept.read(Candidate(trial="t0001", variant=Variant(family="sequential", params={}, seed=2), epoch=3)),
    ]
    assert others == [None, None, None]
    (path,) = tmp_path.iterdir()
    content = path.read_bytes()
    for damaged in (content[: len(content) // 2], b"", b"PAR1"):
        path.write_bytes(damaged)
        assert kept.read(candidate) is None


def test_a_made_ensemble_is_in_the_journal_with_its_members_and_in_the_result_step_by_step(bench: Bench) -> None:
    first, second = helpful(bench)
    result = bench.make()
    assert result.is_better
    assert {item.candidate.name for item in result.members} == {first, second}
    record = next(
        item for item in reversed(list(read_journal(bench.folder.journal))) if isinstance(item, EnsembleExported)
    )
    assert [dict(member) for member in record.members] == [item.to_json() for item in result.members]
    assert (record.folder, record.metrics["accuracy"], record.method) == ("exports/ensemble-greedy", 1.0, "greedy")
    assert bench.recorder.state.ensembles["greedy"] == record
    lines = list(trajectory_lines(result))
    assert lines[0].startswith(f"1. {first[:5]} epoch {int(first[6:])}: accuracy 0.75")
    assert lines[1].startswith(f"2. {second[:5]} epoch {int(second[6:])}: accuracy 1")
    assert len(lines) == 4


def test_the_table_sets_both_models_side_by_side(bench: Bench) -> None:
    helpful(bench)
    single, ensemble = table_rows(bench.make())
    assert list(single) == [
        "model",
        "validation accuracy",
        "test accuracy",
        "test loss",
        "parameters",
        "size",
        "p50, 1 image",
        "p50, 32 images",
    ]
    assert (single["validation accuracy"], ensemble["validation accuracy"]) == ("0.75", "1")
    assert (single["size"], ensemble["size"], ensemble["p50, 1 image"]) == ("-", "2.0 MB", "2.00 ms")


@pytest.mark.parametrize(
    ("only_right", "words"),
    [
        ((9, 1), "on test it alone is right 9 times, the single model alone 1 times (p = 0.021): better by more than"),
        ((1, 9), "(p = 0.021): worse by more than chance"),
        ((5, 3), "(p = 0.73): chance explains that"),
    ],
)
def test_a_win_on_test_is_claimed_only_where_chance_does_not_explain_it(
    bench: Bench, only_right: tuple[int, int], words: str
) -> None:
    helpful(bench)
    bench.only_right = only_right
    assert words in bench.make().verdict


def test_an_ensemble_that_does_not_beat_the_best_single_model_on_validation_claims_no_win(bench: Bench) -> None:
    # Equally many are right; only the probabilities are better.
    bench.keep(0, [[0.6, 0.4], RIGHT, [0.01, 0.99], [0.6, 0.4]])
    bench.keep(1, [[0.99, 0.01], RIGHT, [0.4, 0.6], [0.6, 0.4]])
    result = bench.make()
    assert (len(result.members), result.is_better) == (2, False)
    assert result.verdict.startswith("the ensemble does not beat the best single model (on validation, accuracy 0.75")
    assert result.verdict.endswith("no win is claimed")


def test_a_selection_of_one_checkpoint_is_not_exported(bench: Bench) -> None:
    bench.keep(0, [RIGHT, RIGHT, [0.1, 0.9], [0.1, 0.9]])
    bench.keep(1, [WRONG] * 4)
    result = bench.make()
    assert (result.folder, bench.exported, table_rows(result)) == (None, [], [])
    assert result.verdict.startswith("no ensemble beats the best single model (on validation, accuracy 1 against 1")
    assert not any(isinstance(item, EnsembleExported) for item in read_journal(bench.folder.journal))


def test_one_checkpoint_that_is_better_than_the_best_single_model_is_said_to_be_so(bench: Bench) -> None:
    # Such as another seed of the leaderboard's first trial.
    bench.keep(0, [RIGHT, RIGHT, RIGHT, [0.1, 0.9]])
    name = bench.keep(1, [[0.99, 0.01], [0.99, 0.01], [0.01, 0.99], [0.01, 0.99]])
    result = bench.make()
    assert (result.folder, len(result.members), result.is_better) == (None, 1, True)
    trial, epoch = name.split("-")
    assert result.verdict.startswith(f"{trial} epoch {int(epoch)} alone is better than any ensemble with it")
    assert "beats" not in result.verdict


def test_a_snapshot_without_two_checkpoints_of_a_trial_is_refused_in_words(bench: Bench) -> None:
    helpful(bench)
    with pytest.raises(InputError, match=r"no trial has two kept checkpoints .* use --method greedy"):
        bench.make(WantedEnsemble(method="snapshot", size=4, formats=("keras",)))


def test_a_soup_of_different_architectures_is_refused_in_words(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    helpful(bench)
    monkeypatch.setattr(ensembles, "run_soup", lambda request: iter([None, SoupAnswer(steps=[], num_others=2)]))
    with pytest.raises(InputError, match="no two of 2 kept checkpoints have one architecture"):
        bench.make(WantedEnsemble(method="soup", size=4, formats=("keras",)))


def test_a_run_without_checkpoints_is_refused_in_words(bench: Bench) -> None:
    with pytest.raises(InputError, match="no checkpoint of a trial on the leaderboard is kept"):
        bench.make()


def test_masks_are_refused_in_words(bench: Bench) -> None:
    target = Target(name="label", kind="mask", size=3, class_names=("a", "b", "c"), loss="dice", metrics=("iou",))
    with pytest.raises(InputError, match="takes classification or regression, got target 'label' of kind 'mask'"):
        bench.make(task=Task(input_shape=(8, 8, 1), targets=(target,)))


def test_a_worker_that_dies_is_a_note_on_its_trial_and_the_others_go_on(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    helpful(bench)
    lost = bench.keep(2, [WRONG] * 4)
    alone = bench.run_predictions

    def run(requests: Sequence[PredictionRequest]) -> Iterator[Any]:
        yield from alone([item for item in requests if item.trial != lost[:5]])
        yield ExportError(f"{lost[:5]}: the export's worker process died")

    monkeypatch.setattr(ensembles, "run_predictions", run)
    assert bench.make().notes == [f"left out: {lost[:5]}: the export's worker process died"]


def test_pairs_of_answers_are_compared_exactly() -> None:
    assert paired_p_value(0, 0) == 1.0
    assert paired_p_value(3, 9) == paired_p_value(9, 3)
    assert paired_p_value(500, 380) < 0.001

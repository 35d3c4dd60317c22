"""What became of an ensemble, set against the best single model, in numbers and in words."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.results.chance import paired_p_value
from orchestrator.results.image_shares import ImageShares, Interval, interval_in_words
from orchestrator.text import number, size_in_words
from trainables.ensembles.requests import Candidate, EnsembleAnswer, EnsembleMember, MeasuredModel, Step
from trainables.ensembles.scores import Figures, Measure, goodness
from trainables.scores.interval import CONFIDENCE
from trainables.specs.export import EnsembleMethod


@dataclass(frozen=True, slots=True, kw_only=True)
class EnsembleResult:
    """An ensemble of a run's checkpoints beside the run's best single model.

    Attributes:
        method: How its members became one model: greedy, soup or snapshot.
        measure: What decided on the validation split: accuracy, crossentropy, mae or mse.
        single: The best single model's checkpoint.
        single_figures: What it reaches on the validation split.
        steps: The selection, step by step, with the value of each on the validation split.
        members: The checkpoints of the ensemble, heaviest first; a single one is no ensemble.
        figures: What the ensemble reaches on the validation split.
        notes: What else the user should know, a sentence each.
        folder: Where the export lies; None if nothing was exported.
        answer: What the export measured; None likewise.
        shares: Which metrics are shares of images.
    """

    method: EnsembleMethod
    measure: Measure
    single: Candidate
    single_figures: Figures
    steps: Sequence[Step]
    members: Sequence[EnsembleMember]
    figures: Figures
    notes: Sequence[str] = ()
    folder: Path | None = None
    answer: EnsembleAnswer | None = None
    shares: ImageShares = ImageShares()  # noqa: RUF009 - it is frozen

    @property
    def is_better(self) -> bool:
        """Whether the ensemble has a better value than the best single model on the validation split."""
        return goodness(self.figures, self.measure)[0] > goodness(self.single_figures, self.measure)[0]

    @property
    def p_value(self) -> float | None:
        """How probable so uneven test answers are if both models are alike; None for numbers, or without an export."""
        if self.answer is None or not self.answer.only_right:
            return None
        return paired_p_value(self.answer.only_right[0], self.answer.only_right[1])

    @property
    def verdict(self) -> str:
        """Whether the ensemble is better, in a sentence that claims no more than the numbers say."""
        first, second = number(self.figures[self.measure]), number(self.single_figures[self.measure])
        where = f"on validation, {self.measure} {first} against {second} of {name_in_words(self.single)}"
        if len(self.members) < 2 and self.is_better:
            alone = name_in_words(self.members[0].candidate)
            return f"{alone} alone is better than any ensemble with it ({where}); nothing was exported"
        if len(self.members) < 2:
            return f"no ensemble beats the best single model ({where}); nothing was exported"
        if not self.is_better:
            return f"the ensemble does not beat the best single model ({where}): no win is claimed"
        return f"the ensemble beats the best single model {where}; {self._on_test()}"

    def _on_test(self) -> str:
        if self.answer is None or (p_value := self.p_value) is None:
            return "the test split's figures stand in the table"
        gained, lost = self.answer.only_right
        answers = f"on test it alone is right {gained} times, the single model alone {lost} times (p = {p_value:.2g})"
        if p_value >= 1 - CONFIDENCE:
            return f"{answers}: chance explains that"
        return f"{answers}: {'better' if gained > lost else 'worse'} by more than chance"

    def interval(self, measured: MeasuredModel) -> Interval | None:
        """Returns Wilson's interval of 95 % of a model's accuracy on the test split; None where it has none."""
        return self.shares.interval("test_accuracy", measured.test_metrics.get("accuracy"))

    def to_json(self) -> dict[str, Any]:
        """Returns a JSON-ready mapping."""
        rows = {} if self.answer is None else {"single": self.answer.single, "ensemble": self.answer.ensemble}
        found = [] if self.answer is None else list(self.answer.only_right)
        return {
            "method": self.method,
            "measure": self.measure,
            "single": {
                "trial": self.single.trial,
                "epoch": self.single.epoch,
                "validation": dict(self.single_figures),
                **self._row_json(rows.get("single")),
            },
            "ensemble": {
                "members": [member.to_json() for member in self.members],
                "validation": dict(self.figures),
                **self._row_json(rows.get("ensemble")),
            },
            "steps": [step.to_json() for step in self.steps],
            "is_better_on_validation": self.is_better,
            "only_right_on_test": found,
            "p_value": self.p_value,
            "verdict": self.verdict,
            "notes": list(self.notes),
            "folder": None if self.folder is None else str(self.folder),
            "problems": [] if self.answer is None else list(self.answer.export.problems),
            "runtimes": {} if self.answer is None else dict(self.answer.export.runtimes),
        }

    def _row_json(self, measured: MeasuredModel | None) -> dict[str, Any]:
        if measured is None:
            return {}
        interval = self.interval(measured)
        return {**measured.to_json(), **({"test_accuracy_interval": list(interval)} if interval else {})}


def name_in_words(candidate: Candidate) -> str:
    """Returns a checkpoint's name as text, such as `t0003 epoch 5`."""
    return f"{candidate.trial} epoch {candidate.epoch}"


def trajectory_lines(result: EnsembleResult) -> Iterator[str]:
    """Yields a line for each step of a selection.

    Args:
        result: Whose steps are shown.
    """
    for place, step in enumerate(result.steps, start=1):
        figures = ", ".join(f"{name} {number(value)}" for name, value in step.figures.items())
        yield f"{place}. {name_in_words(step.candidate)}: {figures}{'' if step.is_kept else ' (left out)'}"


def table_rows(result: EnsembleResult) -> list[Mapping[str, str]]:
    """Returns the best single model and the ensemble as rows of a table, cells by heading; none without an export.

    Args:
        result: What became of the ensemble.
    """
    if result.answer is None:
        return []
    several = len(result.members)
    names = (f"best single ({name_in_words(result.single)})", f"{result.method} of {several} checkpoints")
    measured = (result.answer.single, result.answer.ensemble)
    figures = (result.single_figures, result.figures)
    return [
        {"model": name, f"validation {result.measure}": number(reached[result.measure]), **_cells(row, result=result)}
        for name, row, reached in zip(names, measured, figures, strict=True)
    ]


def _cells(row: MeasuredModel, *, result: EnsembleResult) -> dict[str, str]:
    shown = {"accuracy", "mae", "mse", "loss"}
    metrics = {name: number(value) for name, value in row.test_metrics.items() if name in shown}
    if interval := result.interval(row):
        metrics["accuracy"] += f" ({interval_in_words(interval)})"
    times = {
        f"p50, {size} image{'' if size == '1' else 's'}": f"{1000 * value:.2f} ms"
        for size, value in row.latency_seconds.items()
    }
    return {
        **{f"test {name}": value for name, value in metrics.items()},
        "parameters": f"{row.num_parameters:,}",
        "size": "-" if row.size_bytes is None else size_in_words(row.size_bytes),
        **times,
    }

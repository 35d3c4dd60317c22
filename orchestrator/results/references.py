"""The reference rows of a study, what simple guesses reach on its data, and whether its best trial beats them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from orchestrator.journal.study_state import StudyState, search_alone
from orchestrator.results.chance import luck_p_value
from orchestrator.results.from_state import leaders
from orchestrator.results.image_shares import ImageShares, read_counts
from orchestrator.runs.paths import RunFolder
from orchestrator.runs.references_file import read_references_file
from orchestrator.text import number
from trainables.scores.interval import CONFIDENCE
from trainables.specs.targets import usual_mode


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """One reference row.

    Attributes:
        name: Such as majority class.
        is_blind: Whether it guesses the same for every image.
        metrics: By name, with the split: val_accuracy, test_accuracy.
        images: The number of images measured on, by split.
    """

    name: str
    is_blind: bool
    metrics: Mapping[str, float]
    images: Mapping[str, int] = field(default_factory=dict)

    def shares(self, shares: ImageShares) -> ImageShares:
        """Returns a study's shares of images, of as many images as the row was measured on."""
        return replace(shares, images=self.images)


def read_references(folder: RunFolder) -> list[Reference]:
    """Returns the reference rows of a run; an empty list for runs without them."""
    rows = read_references_file(folder).get("rows")
    found = []
    for row in rows if isinstance(rows, list) else []:
        if isinstance(row, dict) and isinstance(row.get("name"), str) and isinstance(row.get("metrics"), dict):
            metrics = {
                name: float(value)
                for name, value in row["metrics"].items()
                if type(value) in (int, float) and math.isfinite(value)
            }
            is_blind, images = row.get("is_blind") is True, read_counts(row.get("images"))
            found.append(Reference(name=row["name"], is_blind=is_blind, metrics=metrics, images=images))
    return found


def shown_metrics(references: Sequence[Reference], *, metric: str) -> list[str]:
    """Returns the metrics that the reference rows are shown with: the objective, if they have it, then the others.

    Losses that are not the objective are left out.

    >>> row = Reference(name="mean", is_blind=True, metrics={"val_loss": 1.0, "val_mae": 0.5, "test_mae": 0.6})
    >>> shown_metrics([row], metric="val_mae")
    ['val_mae', 'test_mae']
    """
    names = dict.fromkeys(name for row in references for name in row.metrics)
    wanted = [name for name in names if not name.endswith("loss") or name.partition("_")[2] == metric.partition("_")[2]]
    return sorted(wanted, key=lambda name: name != metric)


def verdict(state: StudyState, references: Sequence[Reference], *, shares: ImageShares) -> str:
    """Returns a sentence for a study whose best trial does not beat the reference rows; else an empty text.

    A guess that is the same for every image is beaten where the best of all reports is further above it than luck
    would bring one of so many guessers in a twentieth of all studies.

    Args:
        state: The study.
        references: Its reference rows.
        shares: Its metrics that are shares of images.
    """
    state = search_alone(state)
    board = leaders(state, k=1)
    metric, mode = _compared(state, references, best=board[0][1].metrics if board else {})
    known = [row for row in references if metric in row.metrics]
    if not board or not known:
        return ""
    sign = 1.0 if mode == "max" else -1.0
    best = board[0][1].metrics[metric]
    subject = "no trial beats" if state.finished is not None else "so far, no trial beats"
    unbeaten = [row for row in known if sign * best <= sign * row.metrics[metric]]
    if unbeaten:
        strongest = max(unbeaten, key=lambda row: sign * row.metrics[metric])
        return f"{subject} the {strongest.name} ({number(strongest.metrics[metric])})"
    count = shares.count(metric)
    if shares.interval(metric, best) is None or mode != "max":
        return ""
    # Every report is a look: the best epoch of a trial is chosen by the same images.
    looks = sum(metric in report.metrics for trial in list(state.trials.values()) for report in list(trial.reports))
    for row in known:
        luck = luck_p_value(best, reference=row.metrics[metric], count=count, looks=looks)
        if row.is_blind and luck > 1 - CONFIDENCE:
            return (
                f"{subject} the {row.name} ({number(row.metrics[metric])}) by more than luck allows: the best of "
                f"{looks:,} reports has {number(best)} on {count:,} validation images"
            )
    return ""


def _compared(state: StudyState, references: Sequence[Reference], *, best: Mapping[str, float]) -> tuple[str, str]:
    """Returns the metric that trials and references are compared by, and its mode.

    It is the objective, if the references have it. A loss depends on a variant's own settings, such as its label
    smoothing, so that the references have none: the best trial is then compared by another metric of its report.
    """
    header = state.header
    names = dict.fromkeys(name for row in references for name in row.metrics if name in best)
    name = header.metric if header.metric in names else next(iter(names), header.metric)
    return name, header.mode if name == header.metric else usual_mode(name)

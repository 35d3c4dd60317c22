"""Which checkpoints vote: greedy selection with replacement, and the equal votes of one trial; numpy alone.

Source: Caruana, Niculescu-Mizil, Crew and Ksikes 2004, "Ensemble Selection from Libraries of Models", section 2.2;
Huang et al. 2017, "Snapshot Ensembles: Train 1, get M for free", arXiv:1704.00109.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from trainables.ensembles.requests import Candidate, EnsembleMember, Step
from trainables.ensembles.scores import Measure, figures_of, goodness
from trainables.specs.targets import TargetKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Library:
    """Checkpoints to choose from.

    Attributes:
        candidates: In an order that decides between equally good ones: the earlier is chosen.
        outputs: What each predicts on the validation split, (images, size), by its name.
        labels: Of that split.
        kind: Of the target.
        measure: What decides.
    """

    candidates: Sequence[Candidate]
    outputs: Mapping[str, np.ndarray]
    labels: np.ndarray
    kind: TargetKind
    measure: Measure

    def figures(self, outputs: np.ndarray) -> dict[str, float]:
        """Returns what predictions reach."""
        return figures_of(outputs, self.labels, kind=self.kind)

    def value(self, step: Step) -> tuple[float, float]:
        """Returns what steps are compared by, the larger the better."""
        return goodness(step.figures, self.measure)


def greedy_steps(library: Library, *, size: int) -> list[Step]:
    """Returns the votes in the order in which they were chosen: each the one that helps the votes before it most.

    A checkpoint may be chosen again, which gives it more weight. The steps that are kept are the shortest beginning
    with the best value, so the ensemble is at least as good on the validation split as the best candidate.

    Args:
        library: The checkpoints.
        size: How many votes are given.
    """
    total, steps = np.zeros_like(next(iter(library.outputs.values())), dtype=np.float64), list[Step]()
    for count in range(1, size + 1):
        tried = [
            Step(candidate=item, figures=library.figures((total + library.outputs[item.name]) / count))
            for item in library.candidates
        ]
        best = max(tried, key=library.value)
        total += library.outputs[best.candidate.name]
        steps.append(best)
    values = [library.value(step) for step in steps]
    last = values.index(max(values))
    return [replace(step, is_kept=place <= last) for place, step in enumerate(steps)]


def snapshot_steps(library: Library, *, size: int) -> list[Step]:
    """Returns the last epochs of the trial whose equal votes are best; empty where no trial has two checkpoints.

    Args:
        library: The checkpoints.
        size: How many votes are given at most.
    """
    found = []
    for trial in dict.fromkeys(item.trial for item in library.candidates):
        own = sorted((item for item in library.candidates if item.trial == trial), key=lambda item: -item.epoch)[:size]
        # From the last epoch backwards: the later ones are those of a schedule that has come to rest.
        means = [np.mean([library.outputs[item.name] for item in own[: at + 1]], axis=0) for at in range(len(own))]
        steps = [Step(candidate=item, figures=library.figures(mean)) for item, mean in zip(own, means, strict=True)]
        if len(steps) > 1:
            found.append(steps)
    return max(found, key=lambda steps: library.value(steps[-1]), default=[])


def members_of(steps: Sequence[Step]) -> list[EnsembleMember]:
    """Returns the members that the kept steps come to, heaviest first; each kept step is one vote."""
    kept = [step.candidate for step in steps if step.is_kept]
    by_name = {candidate.name: candidate for candidate in kept}
    votes = Counter(candidate.name for candidate in kept)
    return [EnsembleMember(candidate=by_name[name], weight=count / len(kept)) for name, count in votes.most_common()]

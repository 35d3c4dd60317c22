"""The advice of a study: at most three sentences, most important first; none for a good one."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from orchestrator.advice.curves import (
    alike,
    at_chance,
    best_in_first_epoch,
    best_in_last_epoch,
    overfitting,
    underfitting,
)
from orchestrator.advice.edges import edges
from orchestrator.advice.evidence import Evidence
from orchestrator.errors import StudyFileError
from orchestrator.journal.study_state import StudyState, search_alone
from orchestrator.results.image_shares import ImageShares, image_shares
from orchestrator.results.references import Reference, read_references
from orchestrator.runs.paths import RunFolder
from orchestrator.study.yaml_file import parse_yaml, read_study_file
from search_spaces import SearchSpace, parse_space

#: More is not read.
MAX_SENTENCES = 3
#: A study is good where its best trial leaves no more of a blind guess's errors than this: of ten classes, 0.91 are
#: right. Advice would be about the last few images, and wrong more often than not.
GOOD = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """One sentence of advice.

    Attributes:
        about: What it is about; of one such thing a study says one sentence while it runs, whatever its numbers.
        text: The sentence.
    """

    about: str
    text: str


#: Rules for all studies, most important first; those that follow from differences between trials come last.
_RULES: Sequence[tuple[str, Callable[[Evidence], str]]] = (
    ("overfitting", overfitting),
    ("underfitting", underfitting),
    ("first epoch", best_in_first_epoch),
    ("last epoch", best_in_last_epoch),
    ("alike", alike),
)


def advise(
    state: StudyState, *, shares: ImageShares, references: Sequence[Reference], space: SearchSpace | None
) -> list[Advice]:
    """Returns what a study's results suggest to try, most important first.

    Args:
        state: The study, also while it runs.
        shares: Its metrics that are shares of images; where it has no images by split, the run is one of a version
            that kept nothing of them, and gets no advice.
        references: Its reference rows.
        space: What it may try; None: not known.
    """
    if not shares.images:
        return []
    evidence = Evidence(state=search_alone(state), shares=shares, references=references, space=space)
    wrongness = evidence.wrongness(evidence.best_judged)
    if not evidence.is_enough or (wrongness is not None and wrongness <= GOOD):
        return []
    if chance := at_chance(evidence):
        # Differences between trials are luck then.
        found = [("chance", chance), ("overfitting", overfitting(evidence))]
    else:
        found = [(about, rule(evidence)) for about, rule in _RULES]
        at_ends = [(f"range of {text.partition(':')[0]}", text) for text in edges(evidence)]
        found = [*found[:3], *at_ends, *found[3:]]
    return [Advice(about=about, text=text) for about, text in found if text][:MAX_SENTENCES]


def advice_of(state: StudyState, *, folder: RunFolder) -> list[Advice]:
    """Returns the advice of a run.

    Args:
        state: The study.
        folder: Its run folder.
    """
    shares = image_shares(folder)
    if not shares.images:
        return []
    return advise(state, shares=shares, references=read_references(folder), space=space_of(folder))


def space_of(folder: RunFolder) -> SearchSpace | None:
    """Returns the space that a run's study.yaml declares; None for one that cannot be read.

    Args:
        folder: The run folder.
    """
    try:
        return _declared_space(read_study_file(folder.study))
    except StudyFileError:
        return None


#: A driver asks again and again beside its trials, and once more for the report: reading the YAML takes 0.1 s.
@functools.lru_cache(maxsize=8)
def _declared_space(text: str) -> SearchSpace | None:
    """Returns the space that a study file declares.

    Raises:
        StudyFileError: If the text is not YAML.
    """
    content = parse_yaml(text, where="study")
    space, _ = parse_space(content.get("space")) if isinstance(content, dict) else (None, [])
    return space

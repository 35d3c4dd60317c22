"""Drafts a study for a file or a folder: looks at the data as a run does, and chooses every key with a reason."""

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.draft.augmentation import augment_choice
from orchestrator.draft.budget import budget_choices, search_minutes
from orchestrator.draft.choice import Choice
from orchestrator.draft.models import fits_transfer, metric_choices, present_backbones, space_choice
from orchestrator.draft.splits import size_choice, split_choices
from orchestrator.draft.text import study_mapping, study_text
from orchestrator.errors import InputError
from orchestrator.results.words import images_in_words, targets_in_words
from orchestrator.study.loading import parse_study
from orchestrator.study.spec import StudySpec
from orchestrator.study.yaml_file import apply_overrides
from search_spaces import portfolio_of, space_from_mapping
from trainables.data.cache.in_process import prepare_in_process
from trainables.data.guess.looking import Found, find_in_process
from trainables.errors import DataError
from trainables.references.mirror import mirror_test
from trainables.specs.data import PATH_FIELDS, DataSpec
from trainables.specs.dataset import DatasetInfo

MINUTES = 10.0
_SEED = 0
#: Names of files that say nothing of what they hold.
_PLAIN = frozenset({"train", "training", "data", "dataset", "labels", "images", "index", "metadata"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A study for data that lies somewhere.

    Attributes:
        text: The study file, each choice with its reason as a comment.
        spec: The same, complete and checked.
        choices: Every key that it has, in order.
        notes: What the look at the data found remarkable.
    """

    text: str
    spec: StudySpec
    choices: tuple[Choice, ...]
    notes: tuple[str, ...]


def study_for(path: Path | str, *, minutes: float = MINUTES, label: str | None = None) -> StudySpec:
    """Returns a study for a file or a folder of images, after a look at them.

    Examples:
        Drafts a study of ten minutes for a folder of class folders; `run_study` runs it::

            import convfleet

            study = convfleet.study_for("flowers", minutes=10)
            print(study.space.families, study.search.minutes)

    Args:
        path: A folder of class folders, a table beside images, or the file or folder of another source.
        minutes: How long the study may take, exports included, about.
        label: The column of the labels; None: the one that fits.

    Returns:
        The study, complete and checked; `convfleet init` writes the same with its reasons.

    Raises:
        InputError: If nothing at the path can be read, or it may be read in several ways.
    """
    return draft_study(Path(path), minutes=minutes, label=label, base=Path.cwd()).spec


def draft_study(
    path: Path,
    *,
    minutes: float,
    label: str | None,
    base: Path,
    notify: Callable[[str], None] = lambda text: None,
) -> Draft:
    """Returns a study for a file or a folder of images.

    Args:
        path: Of the images.
        minutes: How long the study may take, exports included, about.
        label: The column of the labels; None: the one that fits.
        base: The folder of the study file, from which its paths start.
        notify: Receives what is under way.

    Raises:
        InputError: If nothing at the path can be read, or it may be read in several ways.
    """

    def on_progress(stage: str, done: int, total: int) -> None:
        notify(f"{stage}: {done:,} of {total:,}")

    search_minutes(minutes)  # refuses what is no time before it looks at anything
    try:
        notify(f"looking at {path}")
        found = find_in_process(path, label=label, on_progress=on_progress)
        backbones = present_backbones()
        data = _data_choices(found, base=base, backbones=backbones)
        section = study_mapping(data)["data"]
        spec = DataSpec.model_validate(section).resolved(base)
        dataset = prepare_in_process(spec, _SEED, on_progress=on_progress)
    except DataError as exc:
        raise InputError(str(exc)) from exc
    name = study_name(path)
    metrics = list(metric_choices(dataset, data=section))
    # Targets name their own columns.
    replaced = {metric.key for metric in metrics} | ({"data.label_column"} if metrics else set())
    data = [choice for choice in data if choice.key not in replaced]
    space = space_choice(found, dataset, minutes=minutes, backbones=backbones)
    choices = (
        Choice(key="name", value=name),
        Choice(key="seed", value=_SEED),
        *data,
        *(choice for choice in metrics if choice.key.startswith("data.")),
        augment_choice(dataset, name=name, mirror_test=mirror_test),
        space,
        *(choice for choice in metrics if not choice.key.startswith("data.")),
        *budget_choices(
            dataset,
            minutes=minutes,
            is_transfer=fits_transfer(found) and bool(backbones),
            has_portfolio=bool(portfolio_of(space_from_mapping(space.value), num_train=dataset.num_train)),
        ),
    )
    notes = (*found.guess.notes, *dataset.notes)
    lead = _lead(path, dataset, notes=notes)
    study = parse_study(study_mapping(choices), base=base, where=f"the study for {path}")
    return Draft(text=study_text(choices, lead=lead), spec=study, choices=choices, notes=notes)


def overridden(draft: Draft, *, overrides: Sequence[str]) -> StudySpec:
    """Returns a draft's study with `key=value` overrides set.

    Raises:
        InputError: If an override cannot be set, or makes the study wrong.
    """
    if not overrides:
        return draft.spec
    where = f"the study for {draft.spec.name}"
    return parse_study(apply_overrides(draft.text, overrides, where=where), base=Path.cwd(), where=where)


def study_name(path: Path) -> str:
    """Returns a study's name for a file or a folder.

    >>> study_name(Path("/data/my flowers")), study_name(Path("birds/train.csv")), study_name(Path("a/x.tar.gz"))
    ('my-flowers', 'birds', 'x')
    """
    absolute = path.absolute()
    plain = absolute.name if absolute.is_dir() else absolute.name.partition(".")[0]
    if plain.lower() in _PLAIN and absolute.parent.name:
        plain = absolute.parent.name
    return re.sub(r"[^A-Za-z0-9._-]+", "-", plain).strip("-.")[:100] or "study"


def _data_choices(found: Found, *, base: Path, backbones: list[str]) -> list[Choice]:
    guess = found.guess
    has_masks = any(target.get("kind") == "mask" for target in guess.data.get("targets", {}).values())
    choices = [
        Choice(key=f"data.{key}", value=_shown(key, value, base=base), reason=guess.reasons.get(key, ""))
        for key, value in guess.data.items()
    ]
    choices += split_choices(found)
    size = size_choice(found, is_transfer=fits_transfer(found) and bool(backbones), has_masks=has_masks)
    return [*choices, size] if size is not None else choices


def _shown(key: str, value: Any, *, base: Path) -> Any:
    """Returns a value as the study file has it: paths below its folder are relative."""
    if key not in PATH_FIELDS:
        return value
    relative = os.path.relpath(value, base.absolute())
    return value if relative.startswith(os.pardir) else relative


def _lead(path: Path, dataset: DatasetInfo, *, notes: tuple[str, ...]) -> Iterator[str]:
    counts = {"training": dataset.num_train, "validation": dataset.num_validation, "test": dataset.num_test}
    numbers = ", ".join(f"{number:,} {name}" for name, number in counts.items())
    yield (
        f"Drafted by `convfleet init` after a look at {path.name}: {numbers} images, {images_in_words(dataset.task)}, "
        f"{targets_in_words(dataset.task)}. Change what you know better."
    )
    for note in notes:
        yield f"Seen: {note}"


def choices_json(choices: tuple[Choice, ...]) -> list[Mapping[str, Any]]:
    """Returns choices as JSON-ready mappings."""
    return [{"key": choice.key, "value": choice.value, "reason": choice.reason} for choice in choices]

"""How commands print: a console, JSON, and a study's description."""

import json
import os
import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from orchestrator.pareto.constraints import in_words

if TYPE_CHECKING:
    from rich.console import Console

    from orchestrator.study.spec import StudySpec

_PIPED_WIDTH = 150


def study_description(
    study: str, spec: "StudySpec", *, overrides: Sequence[str], search: str, advice: Sequence[str] = ()
) -> str:
    """Returns what a valid study would do, advice on it, and the command that runs it.

    Args:
        search: The search algorithm, and why it is the one if the study leaves that open.
    """
    settings = "".join(f" --set {shlex.quote(override)}" for override in overrides)
    size = "uncountable" if spec.space.size is None else f"{spec.space.size:,} variants"
    names = ", ".join(spec.space.names[1:])
    schedule = spec.schedule
    ends = "" if schedule.algorithm == "none" else f", weak ones stopped by {schedule.algorithm}"
    first = f", the first {spec.num_proposed}" if schedule.has_population else ""
    if ends and schedule.grace_epochs == "auto":
        ends += " where validation images are enough"
    return "\n".join(
        [
            f"{study}: valid",
            f"  data       {spec.data.source}",
            f"  space      {' or '.join(spec.space.families)}; {size}; {names}",
            f"  objective  {'; '.join(f'{goal.metric}, {goal.mode}' for goal in spec.objective.goals)}",
            *(f"  keeps to   {in_words(condition)}" for condition in spec.conditions),
            f"  search     {spec.num_trials} trials{first} by {search}",
            f"  schedule   {_epochs(schedule.max_epochs)}{ends}",
            f"  resources  {spec.resources.in_words}",
            *(f"  reuse      {folder}" for folder in spec.reuse),
            *(f"  advice     {sentence}" for sentence in advice),
            f"  next       convfleet run {shlex.quote(study)}{settings}",
        ]
    )


def _epochs(max_epochs: object) -> str:
    return "epochs by the number of images" if max_epochs == "auto" else f"up to {max_epochs} epochs"


def make_console(*, stderr: bool = False) -> "Console":
    """Returns a console for standard output or standard error; a pipe gets lines that are not broken."""
    from rich.console import Console

    console = Console(stderr=stderr, highlight=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        # A log or a pipe has no edge to break lines at; rich would take 80 columns.
        console.width = _PIPED_WIDTH
    return console


def print_json(content: Any) -> None:
    """Prints one JSON document."""
    print(json.dumps(content, indent=2))

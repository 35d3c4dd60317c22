"""What people asked of a study and wrote about it, for those who look at it."""

from collections.abc import Iterator
from typing import Any

from orchestrator.journal.steering_records import AnnotationAdded
from orchestrator.journal.study_state import StudyState
from orchestrator.text import moment, one_line

_SHOWN_TRIALS, _SHOWN_NOTES = 8, 5
_LONGEST_NOTE = 200


def steering_facts(state: StudyState) -> Iterator[tuple[str, str]]:
    """Yields (name, value) of what people asked and wrote; nothing where nobody did.

    Args:
        state: The journal's.
    """
    if not state.steering.requests:
        return
    content = steering_json(state)["steering"]
    if tags := content["tags"]:
        yield "tags", ", ".join(tags)
    for name, key in (("stars", "starred"), ("kept", "kept"), ("stop", "stopping"), ("added", "added")):
        if found := content[key]:
            shown = ", ".join(found[:_SHOWN_TRIALS])
            yield name, shown + (f" and {len(found) - _SHOWN_TRIALS} more" if len(found) > _SHOWN_TRIALS else "")
    if waiting := waiting_words(state):
        yield "added", waiting
    notes = sorted(_notes(state), key=lambda note: note.at)
    for note in notes[-_SHOWN_NOTES:]:
        text = one_line(note.text)
        text = text if len(text) <= _LONGEST_NOTE else f"{text[:_LONGEST_NOTE]}..."
        yield "note", f"{note.trial or 'study'}, {moment(note.at)}: {text}"
    if len(notes) > _SHOWN_NOTES:
        yield "note", f"{len(notes) - _SHOWN_NOTES} earlier ones are in --json"


def waiting_words(state: StudyState) -> str:
    """Returns how many variants that people asked for have no trial yet, and what to do; empty if there is none.

    Args:
        state: The journal's.
    """
    count, planned = len(state.steering.waiting), state.header.num_trials
    if not count:
        return ""
    text = f"{count} that no trial has yet"
    if sum(trial.is_of_search for trial in list(state.trials.values())) < planned:
        return text
    return f"{text}, as the search took the last place first; resume with --set search.trials={planned + count}"


def steering_json(state: StudyState) -> dict[str, Any]:
    """Returns what people asked and wrote as a JSON-ready mapping; an empty one where nobody did.

    Args:
        state: The journal's.
    """
    if not state.steering.requests:
        return {}
    trials = list(state.trials.values())
    notes = sorted(_notes(state), key=lambda note: note.at)
    return {
        "steering": {
            "tags": list(state.steering.tags),
            "starred": [trial.name for trial in trials if trial.steering.is_starred],
            "kept": [trial.name for trial in trials if trial.steering.is_kept],
            "stopping": [trial.name for trial in trials if trial.steering.stop is not None and not trial.has_ended],
            "added": [trial.name for trial in trials if trial.steering.is_asked],
            "waiting_variants": [variant.to_json() for variant in list(state.steering.waiting.values())],
            "notes": [{"trial": note.trial or None, "text": note.text, "at": note.at} for note in notes],
        }
    }


def _notes(state: StudyState) -> Iterator[AnnotationAdded]:
    yield from list(state.steering.annotations)
    for trial in list(state.trials.values()):
        yield from list(trial.steering.annotations)

"""A run as a notebook shows it by itself: state, best trials, where its files lie, how to go on."""

from collections.abc import Iterator

from orchestrator.journal.study_state import StudyState, search_alone
from orchestrator.results import words
from orchestrator.results.from_state import (
    constraints_in_words,
    count_states,
    elapsed_seconds,
    export_path,
    is_on_this_machine,
    study_status,
)
from orchestrator.results.image_shares import chance_notes, image_shares
from orchestrator.runs.lock import is_driver_alive
from orchestrator.runs.paths import RunFolder
from orchestrator.steering.words import steering_facts
from orchestrator.text import duration, one_line
from orchestrator.views.notebook import parts
from orchestrator.views.report.markup import Markup, text


class ShownInNotebooks:
    """A run that notebooks show as HTML, and Python prints as a line."""

    __slots__ = ()

    folder: RunFolder
    state: StudyState

    def __repr__(self) -> str:
        """Returns the run on one line."""
        run, status = str(self.folder.root), study_status(self.state)
        return f"{type(self).__name__}({run!r}: {status}, {parts.best_in_words(self.state)})"

    def _repr_html_(self) -> str:
        """Returns the run for a notebook's cell."""
        state, shares = self.state, image_shares(self.folder)
        # The state is that of the moment at which it was read: a driver that has left since may have gone on.
        is_alive = state.finished is None and is_driver_alive(self.folder)
        facts = [*_facts(state, folder=self.folder), *(("chance", note) for note in chance_notes(state, shares))]
        return parts.whole(
            [
                parts.heading(state, status=study_status(state, is_alive=is_alive or None)),
                parts.paragraph(parts.best_in_words(state)),
                parts.best_trials(state, shares=shares),
                *(_fact(name, value) for name, value in facts),
                *(_code(name, line) for name, line in _next_steps(state, folder=self.folder, is_alive=is_alive)),
            ]
        )


def _facts(state: StudyState, *, folder: RunFolder) -> Iterator[tuple[str, str]]:
    counts = count_states(list(search_alone(state).trials.values()))
    yield "trials", f"{words.state_counts_in_words(counts)} (of {state.header.num_trials})"
    yield "elapsed", duration(elapsed_seconds(state))
    closing = state.finished or state.paused
    if closing is not None and closing.reason:
        yield "reason", closing.reason
    if kept := constraints_in_words(state):
        yield "limits", kept
    yield from steering_facts(state)
    for item in sorted(state.exports, key=lambda item: item.rank):
        gone = "" if is_on_this_machine(item, folder=folder) else ", which is not on this machine"
        yield "export", f"{export_path(item, folder=folder)}{gone}"
    yield "folder", str(folder.root)
    if folder.report.is_file():
        yield "report", str(folder.report)


def _next_steps(state: StudyState, *, folder: RunFolder, is_alive: bool) -> Iterator[tuple[str, str]]:
    """Yields (what it does, code) of what a user may do next."""
    run = repr(str(folder.root))
    if is_alive:
        yield "look again", f"convfleet.open_run({run})"
    elif state.finished is None:
        yield "go on", f"result = convfleet.resume_study({run})"
    else:
        more = 2 * state.header.num_trials
        yield "more trials", f'result = convfleet.resume_study({run}, overrides=["search.trials={more}"])'
    if any((export_path(item, folder=folder) / "model.keras").is_file() for item in state.exports):
        yield "the best model", f"model = convfleet.open_run({run}).load_model(rank=1)"


def _fact(name: str, value: str) -> Markup:
    return parts.paragraph(Markup(f'<span class="soft">{text(name)}</span> {text(one_line(value))}'))


def _code(name: str, line: str) -> Markup:
    return parts.paragraph(Markup(f'<span class="soft">{text(name)}:</span> <code>{text(line)}</code>'))

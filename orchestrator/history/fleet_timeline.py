"""What each worker of a study did when, reconstructed from the journal."""

import math
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from orchestrator.history.worker_time import Part, Strand, seconds_of, strands_of
from orchestrator.journal.study_state import StudyState, search_alone
from orchestrator.journal.trial import Trial, TrialState, is_stopped_by_hand
from orchestrator.study.sections import budget_of
from trainables.reports import FailureKind

#: What a worker does once, not in every epoch.
_ONCE = frozenset(("start", "import", "data", "build", "trace", "idle"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Some time of a worker, spent on one thing.

    Attributes:
        lane: The place of its worker in the lanes, from 0.
        trial: For which trial; time that a worker waited ahead of a trial counts for that one.
        epoch: Of the report that accounts for it; 0 where none does.
        kind: start, idle, import, data, build, trace, train, validate, checkpoint, report, other, and what else a
            report names; beside reports: lost (a worker died since), failed (a step that ended the trial), running
            (no report yet).
        start: When it began, seconds since 1970.
        end: When it ended; later than its start.
    """

    lane: int
    trial: str
    epoch: int
    kind: str
    start: float
    end: float


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerLane:
    """A worker process, or several ones of unknown name one after another.

    Attributes:
        name: For people; no two lanes have one.
        node: Its machine; empty where no report says.
        pid: Its process id; 0 where no report says.
        session: The session that it belongs to, from 1; 0 for processes of unknown name.
    """

    name: str
    node: str
    pid: int
    session: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StoppedEarly:
    """What stopping weak trials saved; trials of other runs, failures, ends of a budget or by hand do not count.

    Attributes:
        num_stopped: The trials that the scheduler stopped because of their values.
        epochs: What these had left up to the study's last epoch.
        seconds: What these epochs would have taken in workers, each as long as the trial's own ones were on average,
            without what a worker does once: an estimate.
    """

    num_stopped: int
    epochs: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LostWorker:
    """A worker that died, or was ended as silent.

    Attributes:
        trial: What it trained.
        at: When the driver noticed, seconds since 1970.
        reason: In words.
        seconds: How long it had been at work since its last report.
        is_retried: Whether a worker took the trial up again.
    """

    trial: str
    at: float
    reason: str
    seconds: float
    is_retried: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetTimeline:
    """The workers of a study and what they did.

    Spans of a lane never overlap. A report accounts for all seconds of its worker since the report before; they are
    laid out backwards from the moment at which the journal got it, and from the begin of the next report's seconds
    where that is earlier. Only two things cut seconds off: a session that began later than they would have, and a trial
    that a worker took up more than a second later than they would have, which is so where clocks disagree, where a
    process is older than its session, and where a report was sent again whose epoch an earlier worker had trained.

    Attributes:
        lanes: Workers in the order of sessions, nodes and first spans; unknown ones last.
        spans: By lane, then by time.
        seconds: By kind, as the journal has them; steps that failed are taken out of `other`.
        cut_seconds: How much of these is in no span.
        saved: By stopping weak trials.
        losses: Workers that died, in the order of time.
        num_retries: How often a worker took up a trial that had lost one.
    """

    lanes: tuple[WorkerLane, ...]
    spans: tuple[Span, ...]
    seconds: Mapping[str, float]
    cut_seconds: float
    saved: StoppedEarly
    losses: tuple[LostWorker, ...]
    num_retries: int

    @property
    def start(self) -> float:
        """When the first span begins, seconds since 1970; 0 without spans."""
        return min((span.start for span in self.spans), default=0.0)

    @property
    def end(self) -> float:
        """When the last span ends, seconds since 1970; 0 without spans."""
        return max((span.end for span in self.spans), default=0.0)


def fleet_timeline(state: StudyState) -> FleetTimeline:
    """Returns what each worker of a study did when.

    Args:
        state: The study's; another thread may add to it meanwhile.
    """
    strands = strands_of(state)
    seconds: dict[str, float] = defaultdict(float)
    laid: list[tuple[Strand, list[Span]]] = []
    for strand in strands:
        for block in strand.blocks:
            for part in block.parts:
                seconds[part.kind] += part.seconds
        if spans := _laid_out(strand):
            laid.append((strand, spans))
    lanes, spans = _in_lanes(laid)
    total = math.fsum(seconds.values())
    losses = _losses(state)
    return FleetTimeline(
        lanes=tuple(lanes),
        spans=tuple(spans),
        seconds=dict(seconds),
        cut_seconds=max(0.0, total - math.fsum(span.end - span.start for span in spans)),
        saved=_saved(state),
        losses=tuple(losses),
        num_retries=sum(loss.is_retried for loss in losses),
    )


def _laid_out(strand: Strand) -> list[Span]:
    """Returns the spans of a process, the first one first, as if it was in lane 0."""
    found: list[Span] = []
    end = math.inf
    for block in reversed(strand.blocks):
        end = min(end, block.at)
        for part in reversed(block.parts):
            if (begin := _begin(part, end)) < end:
                found.append(Span(lane=0, trial=block.trial, epoch=block.epoch, kind=part.kind, start=begin, end=end))
                end = begin
    return found[::-1]


def _begin(part: Part, end: float) -> float:
    return max(end - part.seconds, part.earliest)


def _in_lanes(laid: Sequence[tuple[Strand, list[Span]]]) -> tuple[list[WorkerLane], list[Span]]:
    """Returns the lanes, and all spans with their lanes."""
    known = [item for item in laid if item[0].process[0] or item[0].process[1]]
    known.sort(key=lambda item: (item[0].session, item[0].process[0], item[1][0].start, item[0].process[1]))
    unknown = sorted(
        (spans for strand, spans in laid if not (strand.process[0] or strand.process[1])),
        key=lambda spans: spans[0].start,
    )
    uses = Counter(strand.process for strand, _ in known)
    lanes = [_lane(strand, is_again=uses[strand.process] > 1) for strand, _ in known]
    rows = [spans for _, spans in known]
    packed = _packed(unknown)
    lanes += [
        WorkerLane(name=f"worker not known, {number}", node="", pid=0, session=0)
        for number in range(1, len(packed) + 1)
    ]
    return lanes, [_moved_to(span, lane) for lane, row in enumerate([*rows, *packed]) for span in row]


def _moved_to(span: Span, lane: int) -> Span:
    return Span(lane=lane, trial=span.trial, epoch=span.epoch, kind=span.kind, start=span.start, end=span.end)


def _lane(strand: Strand, *, is_again: bool) -> WorkerLane:
    node, pid = strand.process
    name = f"{node} {pid}" if node and pid else node or f"process {pid}"
    return WorkerLane(
        name=f"{name} (session {strand.session})" if is_again else name, node=node, pid=pid, session=strand.session
    )


def _packed(rows: Sequence[list[Span]]) -> list[list[Span]]:
    """Returns as few rows as hold all spans without an overlap; a row that is given stays whole."""
    packed: list[list[Span]] = []
    for spans in rows:
        free = next((row for row in packed if row[-1].end <= spans[0].start), None)
        if free is None:
            packed.append(list(spans))
        else:
            free.extend(spans)
    return packed


def _saved(state: StudyState) -> StoppedEarly:
    searched = search_alone(state)
    max_epochs = searched.header.max_epochs if searched.opened is not None else 0
    stopped = [trial for trial in list(searched.trials.values()) if _is_stopped_as_weak(trial)]
    left = [(max(0, max_epochs - trial.epoch), trial) for trial in stopped]
    return StoppedEarly(
        num_stopped=len(stopped),
        epochs=sum(number for number, _ in left),
        seconds=math.fsum(number * _seconds_per_epoch(trial) for number, trial in left),
    )


def _is_stopped_as_weak(trial: Trial) -> bool:
    """Returns whether the scheduler stopped a trial of this study for its value, and no other took its place."""
    if trial.reused_from or trial.replaced_by or trial.stop is None or trial.state is not TrialState.STOPPED:
        return False
    return not budget_of(trial.stop.reason) and not is_stopped_by_hand(trial)


def _seconds_per_epoch(trial: Trial) -> float:
    each = [
        math.fsum(seconds for kind, seconds in seconds_of(report).items() if kind not in _ONCE)
        for report in list(trial.reports)
    ]
    return statistics.fmean(each) if each else 0.0


def _losses(state: StudyState) -> list[LostWorker]:
    found = [loss for trial in list(state.trials.values()) for loss in _losses_of(trial)]
    return sorted(found, key=lambda loss: (loss.at, loss.trial))


def _losses_of(trial: Trial) -> Iterator[LostWorker]:
    moments = [*list(trial.started_at), *list(trial.reported_at)]
    for loss in list(trial.losses):
        if loss.kind == FailureKind.MOVED:
            continue
        since = max((at for at in moments if at <= loss.at), default=loss.at)
        is_retried = any(at >= loss.at for at in list(trial.started_at))
        yield LostWorker(
            trial=trial.name, at=loss.at, reason=loss.reason, seconds=loss.at - since, is_retried=is_retried
        )

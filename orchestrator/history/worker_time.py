"""What workers did, one block a report: the seconds that a report accounts for, in the order in which they passed."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from orchestrator.analysis.progress import is_own
from orchestrator.journal.study_state import StudyState
from orchestrator.journal.trial import Process, Trial, process_of
from trainables.reports import EpochReport, FailureKind

LOST, FAILED_STEP, RUNNING = "lost", "failed", "running"
#: Kinds of time that no report accounts for, or only as `other`.
BESIDE_REPORTS = (LOST, FAILED_STEP, RUNNING)
#: What passes before a worker begins with a trial; its first trial may find TensorFlow imported.
_BEFORE = frozenset(("start", "idle"))
_BEFORE_FIRST = _BEFORE | {"import"}
_ORDER = ("start", "report", "idle", "import", "data", "build", "trace", "train", "validate", "checkpoint")
#: In a process that imports TensorFlow ahead of its first trial.
_FIRST_ORDER = ("start", "import", "idle", *_ORDER[4:])
_LAST = "other"
#: A worker's clock and the driver's may differ by so many seconds before a trial seems to begin ahead of its start.
_SLACK = 1.0
#: Less is what rounding leaves: moments are kept to a fifth of that.
_LEAST = 1e-6
_UNKNOWN: Process = ("", 0)
_GONE = (FailureKind.WORKER_LOST, FailureKind.TIMED_OUT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Some seconds of one kind.

    Attributes:
        kind: Such as train.
        seconds: How many.
        earliest: Before this moment, seconds since 1970, they cannot have passed.
    """

    kind: str
    seconds: float
    earliest: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """What a worker did up to a moment, without a gap.

    Attributes:
        at: The moment: of a report, a failure or a loss, seconds since 1970.
        trial: For which trial.
        epoch: Of the report; 0 where there is none.
        parts: In the order in which they passed.
    """

    at: float
    trial: str
    epoch: int
    parts: tuple[Part, ...]


@dataclass(slots=True, kw_only=True)
class Strand:
    """What one worker process did.

    Attributes:
        session: The number of the session, from 1: a process lives in one.
        process: Its node and id; an empty text and 0 where no report says.
        blocks: In the order of time.
    """

    session: int
    process: Process
    blocks: list[Block] = field(default_factory=list)


def strands_of(state: StudyState) -> list[Strand]:
    """Returns what the workers of a study did, as far as the journal tells; trials of another run left none.

    Args:
        state: Another thread may add to it meanwhile.
    """
    sessions = _Sessions(state)
    strands: dict[tuple[object, ...], Strand] = {}
    for trial in list(state.trials.values()):
        # Without a process, what belongs to one start of one trial is taken for one worker's.
        for process, block, attempt in _blocks(trial, state=state, sessions=sessions):
            session = sessions.number(block.at)
            key = (session, process) if process != _UNKNOWN else (session, trial.name, attempt)
            strands.setdefault(key, Strand(session=session, process=process)).blocks.append(block)
    for strand in strands.values():
        strand.blocks.sort(key=lambda block: block.at)
        strand.blocks = _with_failed_steps(strand.blocks)
    return list(strands.values())


def seconds_of(report: EpochReport) -> dict[str, float]:
    """Returns the seconds that a report accounts for by kind, in the order in which they passed.

    >>> seconds_of(EpochReport(epoch=1, metrics={}, train_seconds=2.0, images_per_second=1.0,
    ...                        overhead_seconds={"idle": 1.0, "validate": 0.5, "build": 3.0}))
    {'idle': 1.0, 'build': 3.0, 'train': 2.0, 'validate': 0.5}
    """
    spent = {**report.overhead_seconds, "train": report.train_seconds}
    order = _FIRST_ORDER if "start" in spent else _ORDER
    known = [kind for kind in order if kind in spent]
    unknown = [kind for kind in spent if kind not in order and kind != _LAST]
    last = [_LAST] if _LAST in spent else []
    return {kind: spent[kind] for kind in (*known, *unknown, *last) if spent[kind] > 0}


class _Sessions:
    """The sessions of a study by time."""

    def __init__(self, state: StudyState) -> None:
        sessions = list(state.sessions)
        self._begins = [session.at for session in sessions]
        self._earliest = [min(session.began_at or session.at, session.at) for session in sessions]

    def number(self, at: float) -> int:
        """Returns the number of the session at a moment, from 1."""
        return max(1, bisect_right(self._begins, at))

    def earliest(self, at: float) -> float:
        """Returns when the session of a moment began to prepare."""
        return self._earliest[self.number(at) - 1] if self._earliest else 0.0


def _blocks(trial: Trial, *, state: StudyState, sessions: _Sessions) -> Iterator[tuple[Process, Block, int]]:
    """Yields what workers did for a trial: the worker, what it did, and which start of the trial it belongs to."""
    starts = [at for at in list(trial.started_at) if is_own(trial, at=at)]
    seen: list[tuple[float, Process]] = []
    for place, (report, at) in enumerate(zip(list(trial.reports), list(trial.reported_at), strict=False)):
        if not is_own(trial, at=at):
            continue
        process = trial.processes[place] if place < len(trial.processes) else process_of(trial.worker)
        seen.append((at, process))
        attempt = bisect_right(starts, at)
        began = starts[attempt - 1] - _SLACK if attempt else 0.0
        earliest, seconds = sessions.earliest(at), seconds_of(report)
        before = _BEFORE_FIRST if "start" in seconds else _BEFORE
        parts = tuple(
            Part(kind=kind, seconds=spent, earliest=earliest if kind in before else max(earliest, began))
            for kind, spent in seconds.items()
        )
        yield process, Block(at=at, trial=trial.name, epoch=report.epoch, parts=parts), attempt
    for at, kind, named in _ends(trial, state=state):
        attempt = bisect_right(starts, at)
        if not attempt:
            continue
        reported = [(when, of) for when, of in seen if starts[attempt - 1] <= when <= at]
        since, last = reported[-1] if reported else (starts[attempt - 1], _UNKNOWN)
        parts = (Part(kind=kind, seconds=max(0.0, at - since), earliest=since),)
        yield named or last, Block(at=at, trial=trial.name, epoch=0, parts=parts), attempt


def _ends(trial: Trial, *, state: StudyState) -> Iterator[tuple[float, str, Process | None]]:
    """Yields when a trial was at work without a report to follow: until when, what came of it, the worker if known."""
    for loss in list(trial.losses):
        yield loss.at, LOST, None
    if (failure := trial.failure) is not None:
        given = process_of(failure.worker)
        is_gone = failure.kind in _GONE
        # A worker that is gone says nothing: the driver names the last one that did.
        process = None if is_gone or given == _UNKNOWN else given
        has_lost = is_gone and any(loss.at == failure.at for loss in trial.losses)
        if not has_lost:
            yield failure.at, LOST if is_gone else FAILED_STEP, process
    elif trial.is_with_worker and not trial.has_ended and state.is_active:
        yield state.last_at, RUNNING, None


def _with_failed_steps(blocks: Iterable[Block]) -> list[Block]:
    """Returns the blocks of a process, the seconds of steps that failed where they passed.

    A worker reports these seconds as `other` with its next report, of another trial.
    """
    found: list[Block] = []
    failed: list[int] = []
    for block in blocks:
        if block.parts and block.parts[0].kind == FAILED_STEP:
            failed.append(len(found))
            found.append(block)
        elif failed and block.epoch:
            found.append(_moved(found, failed, block))
            failed = []
        else:
            found.append(block)
    return found


def _moved(found: list[Block], failed: list[int], block: Block) -> Block:
    """Gives failed steps their seconds of the report after them, and returns what is left of that report."""
    left = sum(part.seconds for part in block.parts if part.kind == _LAST)
    for place in failed:
        step = found[place]
        before = found[place - 1].at if place else None
        seconds = min(left, step.parts[0].seconds if before is None else max(0.0, step.at - before))
        part = replace(step.parts[0], seconds=seconds, earliest=min(step.parts[0].earliest, step.at - seconds))
        found[place] = replace(step, parts=(part,))
        left -= seconds
    kept = tuple(replace(part, seconds=left) if part.kind == _LAST else part for part in block.parts)
    return replace(block, parts=tuple(part for part in kept if part.seconds > _LEAST))

"""TensorBoard: a file of events for each trial and one for the study, written without TensorFlow.

TensorBoard's own writer, `EventFileWriter`, imports TensorFlow where that is installed
(findings/tensorboard-writer-imports-tensorflow.sh). This module writes the same records by TensorBoard's messages and
its `RecordWriter`, which do not. All numbers of an epoch are one record, so that an epoch is in a file whole or not at
all.
"""

import io
import json
import os
import struct
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event as Message
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.hparams import api_pb2, metadata
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData, SessionEndInfo, SessionStartInfo
from tensorboard.summary.writer.record_writer import RecordWriter

from orchestrator.errors import TrackerError
from orchestrator.trackers.events import Event, Scalars, StudyBegun, TrialAdded, TrialStands
from orchestrator.trackers.followed import BEST, COST
from orchestrator.trackers.tracker import TrackedRun
from search_spaces import Choice, Float, Int, Parameter, Value

_VERSION = "brain.Event:2"
#: The length of a record and its checksum, and the checksum of its bytes.
_HEADER = struct.Struct("<QI")
_FOOTER_BYTES = 4
#: A step, and the names of the values that a record has at it: a file has each once.
_Content = tuple[int, tuple[str, ...]]


class TensorBoard:
    """Event files of a run in a folder, `t0007/events...` for each trial.

    Args:
        run: The run.
    """

    def __init__(self, run: TrackedRun) -> None:
        self._run = run
        self._folder = run.folder.tensorboard if run.to is None else run.to / run.folder.root.resolve().name
        parameters = [item for item in run.space.parameters if item.domain.size != 1] if run.space else []
        self._infos = {item.name: _hparam_info(item) for item in parameters}
        #: Files whose last record is known to be whole.
        self._whole: set[Path] = set()

    @property
    def place(self) -> str:
        """The folder."""
        return str(self._folder.absolute())

    @property
    def ids(self) -> Mapping[str, str]:
        """None: the names of files follow from those of trials."""
        return {}

    def has_run(self) -> bool:
        """Returns whether the folder has the file of the study."""
        return self._file("").exists()

    def next_step(self) -> str:
        """Returns the command that shows the folder."""
        return f"tensorboard --logdir {self._folder}"

    def recall(self, events: Sequence[Event]) -> None:
        """Nothing: files have their events."""

    def send(self, events: Sequence[Event], *, in_doubt: bool) -> None:
        """Appends events to their files; they are on the disk when it returns.

        Args:
            events: In the order of the journal.
            in_doubt: Whether files may have some of them.

        Raises:
            TrackerError: If a file cannot be written.
        """
        records: dict[str, list[bytes]] = defaultdict(list)
        for event in events:
            for trial, message in self._messages(event):
                records[trial].append(_record(message))
        for trial, wanted in records.items():
            path = self._file(trial)
            try:
                self._append(path, wanted, in_doubt=in_doubt)
            except OSError as exc:
                raise TrackerError(f"tensorboard: {path}: cannot be written ({exc.strerror or exc})") from exc

    def _file(self, trial: str) -> Path:
        return self._folder / trial / f"events.out.tfevents.{int(self._run.header.at):010d}.convfleet"

    def _append(self, path: Path, records: Sequence[bytes], *, in_doubt: bool) -> None:
        if path.is_symlink() or (path.parent != self._folder and path.parent.is_symlink()):
            raise TrackerError(
                f"tensorboard: {path}: a link leads elsewhere; remove it: events are written in its place"
            )
        known: set[_Content] = set()
        if not path.exists():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            begin = _record(Message(wall_time=self._run.header.at, file_version=_VERSION))
            records = [begin, *records]
        elif in_doubt or path not in self._whole:
            data = path.read_bytes()
            found = list(whole_records(data))
            if (length := sum(map(len, found))) < len(data):
                os.truncate(path, length)
            known = set(map(_content_of, found)) if in_doubt else set()
        self._whole.add(path)
        missing = [record for record in records if _content_of(record) not in known] if known else records
        with path.open("ab") as file:
            file.write(b"".join(missing))
            file.flush()
            os.fsync(file.fileno())

    def _messages(self, event: Event) -> Iterator[tuple[str, Message]]:
        """Yields what an event adds to the file of a trial, or of the study, which has an empty name."""
        match event:
            case StudyBegun(at=at):
                if self._infos:
                    yield "", _hparams(metadata.EXPERIMENT_TAG, HParamsPluginData(experiment=self._experiment()), at=at)
            case TrialAdded(trial=trial, at=at):
                data = HParamsPluginData(session_start_info=self._session(event))
                yield trial, _hparams(metadata.SESSION_START_INFO_TAG, data, at=at)
            case Scalars(trial=trial, step=step, at=at):
                values = [Summary.Value(tag=name, simple_value=value) for name, value in event.values.items()]
                yield trial, Message(wall_time=at, step=step, summary=Summary(value=values))
            case TrialStands(trial=trial, has_ended=True, at=at):
                status = api_pb2.STATUS_FAILURE if event.is_failed else api_pb2.STATUS_SUCCESS
                data = HParamsPluginData(session_end_info=SessionEndInfo(status=status, end_time_secs=at))
                yield trial, _hparams(metadata.SESSION_END_INFO_TAG, data, at=at)

    def _experiment(self) -> api_pb2.Experiment:
        header = self._run.header
        goals = [goal.metric for goal in header.goals]
        tags = [*(f"{BEST}{name}" for name in goals), *goals, f"{COST}parameters"]
        return api_pb2.Experiment(
            description=f"Study {header.study}: {'; '.join(f'{goal.metric}, {goal.mode}' for goal in header.goals)}",
            time_created_secs=header.at,
            hparam_infos=list(self._infos.values()),
            metric_infos=[
                api_pb2.MetricInfo(name=api_pb2.MetricName(tag=tag), dataset_type=api_pb2.DATASET_VALIDATION)
                for tag in tags
            ],
        )

    def _session(self, trial: TrialAdded) -> SessionStartInfo:
        session = SessionStartInfo(group_name=trial.trial, start_time_secs=trial.at)
        for name, value in {"family": trial.family, **trial.params}.items():
            info = self._infos.get(name)
            is_text = info is not None and info.type == api_pb2.DATA_TYPE_STRING
            if isinstance(value, bool) and not is_text:
                session.hparams[name].bool_value = value
            elif isinstance(value, int | float) and not is_text:
                session.hparams[name].number_value = value
            else:
                session.hparams[name].string_value = as_text(value)
        return session


def whole_records(data: bytes) -> Iterator[bytes]:
    """Yields the records of an event file, each with its length and checksums; a torn last one is left out.

    >>> two = _record(Message(step=1)) + _record(Message(step=2))
    >>> [len(record) for record in whole_records(two[:-1])]
    [18]

    Args:
        data: The file's bytes.
    """
    start = 0
    while start + _HEADER.size <= len(data):
        length, _ = _HEADER.unpack_from(data, start)
        end = start + _HEADER.size + length + _FOOTER_BYTES
        if end > len(data):
            return
        yield data[start:end]
        start = end


def _content_of(record: bytes) -> _Content:
    """Returns the step of a record, and what it has values of."""
    message = Message.FromString(record[_HEADER.size : -_FOOTER_BYTES])
    return message.step, tuple(sorted(value.tag for value in message.summary.value))


def as_text(value: Value) -> str:
    """Returns a value as a study file writes it.

    >>> as_text("relu"), as_text(None), as_text((16, 32))
    ('relu', 'null', '[16, 32]')

    Args:
        value: Of a parameter.
    """
    return value if isinstance(value, str) else json.dumps(value)


def _hparam_info(parameter: Parameter) -> api_pb2.HParamInfo:
    info = api_pb2.HParamInfo(name=parameter.name, type=api_pb2.DATA_TYPE_FLOAT64)
    match parameter.domain:
        case Int(low=low, high=high) | Float(low=low, high=high):
            info.domain_interval.min_value, info.domain_interval.max_value = low, high
        case Choice(options=options) if all(isinstance(item, bool) for item in options):
            info.type = api_pb2.DATA_TYPE_BOOL
            info.domain_discrete.extend(list(options))
        case Choice(options=options) if all(_is_number(item) for item in options):
            info.domain_discrete.extend(list(options))
        case Choice(options=options):
            info.type = api_pb2.DATA_TYPE_STRING
            info.domain_discrete.extend(map(as_text, options))
    return info


def _is_number(value: Value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _hparams(tag: str, data: HParamsPluginData, *, at: float) -> Message:
    value = Summary.Value(tag=tag, metadata=metadata.create_summary_metadata(data), tensor=metadata.NULL_TENSOR)
    return Message(wall_time=at, summary=Summary(value=[value]))


def _record(message: Message) -> bytes:
    file = io.BytesIO()
    RecordWriter(file).write(message.SerializeToString())
    return file.getvalue()

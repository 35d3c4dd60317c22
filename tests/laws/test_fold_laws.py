"""After every prefix of a journal, replay equals the live state, and its tables agree with each other."""

import itertools
import tempfile
import threading
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up_journals import journals, report, variant

from orchestrator.journal.file import Journal, read_journal
from orchestrator.journal.records import (
    EpochReported,
    Record,
    SessionStarted,
    StudyExtended,
    StudyFinished,
    StudyOpened,
    TrialProposed,
    TrialReplaced,
    TrialReused,
    TrialStarted,
)
from orchestrator.journal.study_state import StudyState, fold, search_alone
from orchestrator.journal.trial import Trial, TrialState
from orchestrator.results.from_state import (
    VaryingParameters,
    best_so_far,
    count_states,
    leaders,
    spent,
    varying_parameters,
)
from orchestrator.results.from_tables import cost, leaderboard
from orchestrator.results.tables import RECORDS_KEY, epochs_table, read_tables, trials_table, write_tables
from orchestrator.results.writer import GrowingTables
from orchestrator.runs.paths import RunFolder


@settings(max_examples=60, deadline=None)
@given(records=journals(), cut=st.integers(0, 2**16))
def test_replay_of_any_prefix_equals_the_live_state_also_from_a_torn_file(records: list[Record], cut: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path, live, ends = Path(folder) / "journal.jsonl", StudyState(), []
        with Journal(path) as journal:
            for count, record in enumerate(records, start=1):
                journal.append(record)
                live.apply(record)
                assert fold(records[:count]) == live
                assert fold(read_journal(path)) == live
                ends.append(path.stat().st_size)
        # A crash may leave any number of bytes.
        content = path.read_bytes()
        length = cut % (len(content) + 1)
        path.write_bytes(content[:length])
        whole = sum(end <= length for end in ends)
        assert fold(read_journal(path)) == fold(records[:whole])
        # The next driver writes on as if the torn record had never been.
        with Journal(path) as journal:
            for record in records[whole:]:
                journal.append(record)
        assert path.read_bytes() == content


@settings(max_examples=60, deadline=None)
@given(records=journals())
def test_tables_of_any_prefix_agree_with_each_other(records: list[Record]) -> None:
    state = StudyState()
    for record in records:
        state.apply(record)
        trials, epochs = trials_table(state).to_pylist(), epochs_table(state).to_pylist()
        counts = Counter(row["trial"] for row in epochs)
        assert {row["trial"]: row["epochs"] for row in trials if row["epochs"]} == counts
        assert len({(row["trial"], row["epoch"]) for row in epochs}) == len(epochs) == len(state.report_order)
        for row in trials:
            own = [line for line in epochs if line["trial"] == row["trial"]]
            begin = row["from_epoch"] or 0
            assert [line["epoch"] for line in own] == list(range(begin + 1, begin + len(own) + 1))
            best = max((line["val_accuracy"] for line in own), default=None)
            assert row["best_val_accuracy"] == best
            assert row.get("val_loss") == (own[-1]["val_loss"] if own else None)
            assert (row["ended_at"] is None) == (row["state"] in {"waiting", "running", "paused", "held"})
        by_state = Counter(row["state"] for row in trials)
        assert {name: count for name, count in count_states(state.trials.values()).items() if count} == by_state
        found_leaders = [(trial.name, report.epoch) for trial, report in leaders(state, k=3)]
        board = leaderboard(trials_table(state), metric="val_accuracy", mode="max", k=3).to_pylist()
        assert found_leaders == [(row["trial"], row["best_epoch"]) for row in board]
        taken = cost(trials_table(state), max_epochs=state.header.max_epochs)
        assert spent(state) == (taken.train_seconds, taken.trial_epochs, taken.epochs_saved)
        usable = [row for row in trials if row["state"] not in {"failed", "infeasible"} and row["epochs"]]
        usable = [row for row in usable if row["replicate_of"] is None]
        found = best_so_far(search_alone(state))
        top = max((row["best_val_accuracy"] for row in usable), default=None)
        assert (found[1].metrics["val_accuracy"] if found else None) == top


@settings(max_examples=60, deadline=None)
@given(records=journals())
def test_search_of_any_prefix_is_the_journal_without_its_replicates(records: list[Record]) -> None:
    replicates: set[str] = set()
    state, alone = StudyState(), StudyState()
    numbers: dict[str, str] = {}
    for record in records:
        state.apply(record)
        if isinstance(record, TrialProposed) and record.replicate_of:
            replicates.add(record.trial)
        name = getattr(record, "trial", "")
        if name in replicates:
            continue
        if isinstance(record, TrialProposed | TrialReused | TrialReplaced):
            number = len(alone.trials)
            numbers[name] = f"t{number:04d}"
            others = ("parent", "replaces") if isinstance(record, TrialReplaced) else ()
            known = {key: numbers[getattr(record, key)] for key in others}
            alone.apply(replace(record, trial=numbers[name], number=number, **known))
        else:
            alone.apply(replace(record, trial=numbers[name]) if name else record)
        searched = search_alone(state)
        told = [seen_of(trial) for trial in searched.trials.values()]
        assert [text.replace(name, "") for text, name in zip(told, searched.trials, strict=True)] == [
            seen_of(trial).replace(trial.name, "") for trial in alone.trials.values()
        ]
        assert [numbers[trial] for trial, _ in searched.report_order] == [trial for trial, _ in alone.report_order]
        assert [trial.place for trial in searched.unfinished] == [trial.place for trial in alone.unfinished]
        assert searched.num_ended == alone.num_ended
        assert state.num_ended_before == alone.num_ended_before


@settings(max_examples=60, deadline=None)
@given(records=journals(), block_trials=st.integers(1, 4), pauses=st.lists(st.booleans(), min_size=42, max_size=42))
def test_tables_that_grow_equal_those_made_from_scratch_after_any_prefix(
    records: list[Record], block_trials: int, pauses: list[bool]
) -> None:
    state, growing = StudyState(), GrowingTables(block_trials=block_trials)
    for record, is_passed_over in zip(records, pauses, strict=False):
        state.apply(record)
        if is_passed_over:
            continue
        assert growing.update(state)
        assert not growing.update(state)
        trials, epochs = growing.tables()
        assert trials.equals(trials_table(state), check_metadata=True)
        assert epochs.equals(epochs_table(state), check_metadata=True)


def seen_of(trial: Trial) -> str:
    """Returns all that is told of a trial."""
    facts = (
        trial.state,
        trial.reason,
        trial.reports,
        trial.reported_at,
        trial.started_at,
        trial.worker,
        trial.reused_from,
        trial.place,
        trial.steering.is_starred,
        trial.steering.keeps,
        trial.steering.is_asked,
    )
    return repr((*facts, trial.stop, trial.failure, trial.losses, trial.notes, trial.ended_at, trial.silent_since))


@settings(max_examples=60, deadline=None)
@given(records=journals())
def test_every_change_of_a_trial_is_noted_and_open_trials_are_those_that_have_not_ended(records: list[Record]) -> None:
    state, varying = StudyState(), VaryingParameters()
    before: dict[str, str] = {}
    num_changes = 0
    for record in records:
        state.apply(record)
        now = {name: seen_of(trial) for name, trial in state.trials.items()}
        changed = {name for name in now if now[name] != before.get(name)}
        assert changed <= set(state.changes[num_changes:])
        before, num_changes = now, len(state.changes)
        assert state.unfinished == [trial for trial in state.trials.values() if not trial.has_ended]
        assert list(state.open_trials.values()) == state.unfinished
        assert state.num_ended == sum(trial.has_ended for trial in state.trials.values())
        assert varying.of(state) == varying_parameters(list(state.trials.values()))


def test_made_up_journals_hold_every_kind_of_record_and_state() -> None:
    kinds: set[type] = set()
    states: set[TrialState] = set()

    @settings(max_examples=200, deadline=None, derandomize=True)
    @given(records=journals())
    def gather(records: list[Record]) -> None:
        kinds.update(map(type, records))
        state = StudyState()
        for record in records:
            state.apply(record)
            states.update(trial.state for trial in state.trials.values())

    gather()
    assert kinds == set(get_args(Record))
    assert states == set(TrialState)


def test_reader_finds_both_tables_of_one_moment_while_a_driver_replaces_them(
    tmp_path: Path, make_opened: Any, make_proposed: Any, make_reported: Any
) -> None:
    folder, state = RunFolder(tmp_path), fold([make_opened()])
    # By number of records: what the tables said then.
    truth: dict[int, tuple[Any, Any]] = {}

    def write() -> None:
        trials, epochs = trials_table(state), epochs_table(state)
        counts = dict(zip(trials["trial"].to_pylist(), trials["epochs"].to_pylist(), strict=True))
        truth[state.num_records] = (counts, epochs.num_rows)
        write_tables(folder, trials=trials, epochs=epochs)

    write()
    is_done, broken, seen = threading.Event(), [], []

    def read() -> None:
        try:
            while not is_done.is_set():
                trials, epochs = read_tables(folder)
                ahead = int(epochs.schema.metadata[RECORDS_KEY]) - int(trials.schema.metadata[RECORDS_KEY])
                counts = dict(zip(trials["trial"].to_pylist(), trials["epochs"].to_pylist(), strict=True))
                seen.append((int(trials.schema.metadata[RECORDS_KEY]), ahead, (counts, epochs.num_rows)))
        except BaseException as exc:  # noqa: BLE001 - shown by the main thread
            broken.append(exc)

    reader = threading.Thread(target=read)
    reader.start()
    for number in itertools.count():
        if number >= 15 and (len(seen) > 10 or broken):
            break
        state.apply(make_proposed(number, at=1.0))
        for epoch in (1, 2, 3):
            state.apply(make_reported(number, epoch, at=2.0, value=0.5))
            write()
    is_done.set()
    reader.join()
    assert broken == []
    assert len(seen) > 10
    # The epochs are never behind the trials, and what they are ahead is left out.
    assert min(ahead for _, ahead, _ in seen) >= 0
    assert all(pair == truth[count] for count, _, pair in seen)


def test_reader_leaves_out_what_the_epochs_are_ahead(
    tmp_path: Path, make_opened: Any, make_proposed: Any, make_reported: Any
) -> None:
    records = [make_opened(), make_proposed(0, at=1.0), make_reported(0, 1, at=2.0, value=0.5)]
    later = [*records, make_reported(0, 2, at=3.0, value=0.6), make_proposed(1, at=4.0)]
    later.append(make_reported(1, 1, at=5.0, value=0.4))
    folder = RunFolder(tmp_path)
    write_tables(folder, trials=trials_table(fold(records)), epochs=epochs_table(fold(later)))
    trials, epochs = read_tables(folder)
    assert trials["trial"].to_pylist() == ["t0000"]
    assert epochs.select(["trial", "epoch"]).to_pylist() == [{"trial": "t0000", "epoch": 1}]


@pytest.mark.parametrize(
    ("value", "patience", "min_delta", "state"),
    [
        (0.1, 0, 0.0, TrialState.PAUSED),
        (0.1, 1, 0.0, TrialState.COMPLETED),
        (0.9, 1, 0.0, TrialState.PAUSED),
        (0.9, 1, 0.3, TrialState.PAUSED),
        (0.9, 1, 0.5, TrialState.COMPLETED),
    ],
    ids=["came to the end", "patience ended with the last epoch", "patient, but better", "by enough", "by too little"],
)
def test_completed_trial_goes_on_in_a_longer_study_unless_its_patience_had_ended(
    value: float, patience: int, min_delta: float, state: TrialState
) -> None:
    records: list[Record] = [
        StudyOpened(schema=2, study="s", seed=0, metric="val_accuracy", mode="max", max_epochs=2, num_trials=1, at=0.0),
        SessionStarted(driver_pid=1, slots=1, at=1.0),
        TrialProposed(trial="t0000", number=0, variant=variant(0, patience=patience, min_delta=min_delta), at=1.0),
        TrialStarted(trial="t0000", at=1.0),
        *(
            EpochReported(trial="t0000", report=report(epoch, told, max_epochs=2), worker={}, at=2.0)
            for epoch, told in ((1, 0.5), (2, value))
        ),
        StudyFinished(at=3.0),
    ]
    assert fold(records).trials["t0000"].state is TrialState.COMPLETED
    change = {"change": "longer", "study": "", "replaces": ""}
    longer = fold([*records, StudyExtended(study_id="i", max_epochs=5, num_trials=3, at=4.0, **change)])
    assert longer.trials["t0000"].state is state
    assert (longer.header.max_epochs, longer.header.num_trials, longer.header.study_id) == (5, 3, "i")
    assert longer.finished is None
    assert longer.is_extended
    # More trials alone let none go on.
    wider = fold([*records, StudyExtended(study_id="i", max_epochs=2, num_trials=3, at=4.0, **change)])
    assert wider.trials["t0000"].state is TrialState.COMPLETED

"""The wall time of a session: parts as they were noted, from the command on; nothing where nothing is known."""

import itertools
import json
from dataclasses import replace
from pathlib import Path

import pytest
from record_samples import START, sweep
from rich.console import Console

from orchestrator.history.wall_time import COMMAND, EXPORTS, FIRST, TRIALS, WallPart, wall_parts
from orchestrator.journal.records import ModelExported
from orchestrator.journal.study_state import fold
from orchestrator.runs.paths import RunFolder
from orchestrator.runs.wall_clock import DATA, RAY, RAY_END, REPORT, ClockPart, WallClock
from orchestrator.views.terminal.facts import print_wall_time


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    run = RunFolder(tmp_path)
    content = {"schema": 1, "sessions": [{"at": 1.0}, {"at": START, "data": {"notes": []}}], "kept": True}
    run.environment.write_text(json.dumps(content), encoding="utf-8")
    return run


def clock_at(begin: float, *, age: float) -> WallClock:
    """Returns a clock whose process began so many seconds before, which counts up by a second at each look."""
    ticks = itertools.count(begin)
    clock = WallClock(now=lambda: next(ticks))
    clock.process_began_at = begin - age
    return clock


def test_parts_are_those_of_the_clock_and_of_the_journal_from_the_command_on(folder: RunFolder) -> None:
    clock = clock_at(START - 10, age=3.0)
    with clock.part(RAY), clock.part(DATA):
        pass
    clock.save(folder)
    with pytest.raises(KeyError), clock.part(REPORT):
        raise KeyError
    clock.save(folder)
    state = fold(sweep())
    reports = sorted(at for trial in state.trials.values() for at in trial.reported_at)
    found = {part.name: part for part in wall_parts(state, folder=folder)}
    assert list(found) == sorted(found, key=lambda name: (found[name].begin, found[name].end))
    origin = clock.process_began_at
    assert found[COMMAND] == WallPart(name=COMMAND, begin=0.0, end=clock.spans[1].began_at - origin)
    for span in clock.spans:
        assert found[span.name] == WallPart(name=span.name, begin=span.began_at - origin, end=span.ended_at - origin)
    assert found[FIRST] == WallPart(name=FIRST, begin=START - origin, end=reports[0] - origin)
    assert found[TRIALS] == WallPart(name=TRIALS, begin=reports[0] - origin, end=reports[-1] - origin)
    assert found[EXPORTS].begin == reports[-1] - origin
    kept = json.loads(folder.environment.read_text(encoding="utf-8"))
    assert (kept["kept"], kept["sessions"][0]) == (True, {"at": 1.0})
    assert kept["sessions"][1]["data"] == {"notes": []}


def test_later_exports_are_no_part_of_the_session_and_a_session_that_only_exports_hides_none(folder: RunFolder) -> None:
    clock = clock_at(START - 10, age=3.0)
    with clock.part(DATA):
        pass
    records = sweep()
    (made,) = (record for record in records if isinstance(record, ModelExported))
    clock.spans.append(ClockPart(name=RAY_END, began_at=made.at + 1, ended_at=made.at + 2))
    clock.save(folder)
    before = wall_parts(fold(records), folder=folder)
    assert EXPORTS in {part.name for part in before}
    content = json.loads(folder.environment.read_text(encoding="utf-8"))
    content["sessions"].append({"at": START + 90_000})
    folder.environment.write_text(json.dumps(content), encoding="utf-8")
    later = replace(made, rank=made.rank + 1, at=made.at + 90_000)
    assert wall_parts(fold([*records, later]), folder=folder) == before


def test_a_process_that_did_other_things_before_does_not_count(folder: RunFolder) -> None:
    clock = clock_at(START - 10, age=5000.0)
    with clock.part(DATA):
        pass
    clock.save(folder)
    parts = wall_parts(fold(sweep()), folder=folder)
    assert COMMAND not in {part.name for part in parts}
    assert parts[0] == WallPart(name=DATA, begin=0.0, end=1.0)


@pytest.mark.parametrize("content", ["", "[]", '{"sessions": [3]}', '{"sessions": [{"wall": {"parts": [{}]}}]}'])
def test_what_is_not_known_is_no_error(folder: RunFolder, content: str) -> None:
    folder.environment.write_text(content, encoding="utf-8")
    clock_at(START, age=1.0).save(folder)
    assert wall_parts(fold(sweep()), folder=folder) == []
    console = Console(width=100, record=True, file=None, quiet=False)
    print_wall_time(console, [])
    assert "timeline: the run was made by a version that kept none" in console.export_text()


def test_a_bar_lies_where_its_part_does() -> None:
    console = Console(width=120, record=True)
    print_wall_time(console, [WallPart(name="a", begin=0.0, end=5.0), WallPart(name="b", begin=5.0, end=10.0)])
    bars = [line for line in console.export_text().splitlines() if "#" in line]
    assert [line.count("#") for line in bars] == [20, 20]
    assert bars[1].index("#") - bars[0].index("#") == 20

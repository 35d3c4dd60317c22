"""While a study runs, each sentence is told once: when it first holds, not again at resume, and not at every report."""

import json

import pytest
from made_studies import MAJORITY, Curve, records_of

from orchestrator.advice import watch
from orchestrator.advice.advice import advice_of
from orchestrator.advice.watch import AdviceWatch
from orchestrator.journal.study_state import fold
from orchestrator.runs.paths import RunFolder
from orchestrator.runs.references_file import write_references_file


@pytest.fixture
def folder(tmp_path):
    run = RunFolder(tmp_path)
    shares = {"metrics": ["accuracy"], "images": {"validation": 1000}}
    run.environment.write_text(json.dumps({"sessions": [{"data": {"shares": shares}}]}))
    row = {"name": MAJORITY.name, "is_blind": True, "metrics": dict(MAJORITY.metrics)}
    write_references_file(run, {"dataset": "x", "rows": [row]})
    return run


def at_chance(count):
    return records_of([Curve(validation=[0.1, 0.1 + number / 1000, 0.1]) for number in range(count)])


def test_sentence_is_told_once_when_it_first_holds(folder):
    state = fold([])
    watched = AdviceWatch(folder, state=state, clock=lambda: 0.0)
    told = []
    for record in at_chance(9):
        state.apply(record)
        told += [(state.num_ended, text) for text in watched.since_last(state)]
    ((num_ended, text),) = told
    assert num_ended == 4
    assert text.startswith("all 4 trials with a result are at chance")


def test_what_held_when_a_session_begins_is_not_told_again(folder):
    records = at_chance(9)
    # Each trial has five records, after the study's own two.
    state = fold(records[: 2 + 5 * 5])
    watched = AdviceWatch(folder, state=state, clock=lambda: 0.0)
    for record in records[2 + 5 * 5 :]:
        state.apply(record)
        assert watched.since_last(state) == []
    assert advice_of(state, folder=folder)


def test_large_study_is_looked_at_ever_more_seldom(folder, monkeypatch):
    looks = []
    monkeypatch.setattr(watch, "advice_of", lambda state, *, folder: looks.append(state.num_ended) or [])

    class Ended:
        num_ended = 0

    state = Ended()
    watched = AdviceWatch(folder, state=state, clock=lambda: 0.0)
    for state.num_ended in range(1, 10_001):
        watched.since_last(state)
        watched.since_last(state)
    assert looks[:12] == list(range(1, 13))
    assert len(looks) < 100
    # The trials that all looks read together: some ten times as many as there are.
    assert sum(looks) < 12 * 10_000


def test_looks_that_take_long_are_followed_by_a_rest(folder, monkeypatch):
    now, looks = [0.0], []

    def look(state, *, folder):
        looks.append(now[0])
        now[0] += 0.5
        return []

    monkeypatch.setattr(watch, "advice_of", look)

    class Ended:
        num_ended = 1

    watched = AdviceWatch(folder, state=Ended(), clock=lambda: now[0])
    for second in range(1, 60):
        Ended.num_ended, now[0] = 1 + second, max(now[0], float(second))
        watched.since_last(Ended())
    assert looks == [0.0, 26.0, 52.0]

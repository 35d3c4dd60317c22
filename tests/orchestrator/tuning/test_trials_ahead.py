"""Waiting trials go to the worker that has traced their architecture; each begins once, and none waits for ever."""

import random
from types import SimpleNamespace

import pytest

from orchestrator.tuning.trials_ahead import NUM_AHEAD, TrialsAhead
from search_spaces import Variant
from trainables.worker.trace_cache import MAX_KEPT, trace_key


class Study:
    """A study of listed variants, whose trials are proposed one after the other."""

    def __init__(self, variants, *, count=NUM_AHEAD):
        self.trials = [trial_of(number, params) for number, params in enumerate(variants)]
        self.coming = iter(self.trials)
        self.stopped = []
        self.state = SimpleNamespace(steering=SimpleNamespace(waiting={}))
        recorder = SimpleNamespace(state=self.state, stop_by_hand=self.stopped.append)
        self.ahead = TrialsAhead(lambda: next(self.coming, None), recorder=recorder, count=count)

    def run(self, num_workers, *, seconds=lambda trial: 1.0):
        """Runs all trials; returns them in the order of their starts, and how many traces each worker made."""
        begun, traces, kept = [], dict.fromkeys(range(num_workers), 0), {pid: [] for pid in range(num_workers)}
        now, at_work = 0.0, {}
        idle = list(range(num_workers))
        while True:
            while idle and (trial := self.ahead.next()) is not None:
                pid = idle.pop(0)
                key = trace_key(trial.variant)
                traces[pid] += key not in kept[pid]
                kept[pid] = [*(other for other in kept[pid] if other != key), key][-MAX_KEPT:]
                begun.append(trial)
                at_work[pid] = (now + seconds(trial), trial)
            if not at_work:
                return begun, traces
            pid = min(at_work, key=lambda worker: at_work[worker][0])
            now, trial = at_work.pop(pid)
            trial.worker = {"node": "here", "worker_pid": pid}
            self.ahead.end_trial(trial)
            idle.append(pid)


def trial_of(number, params):
    steering = SimpleNamespace(stop=None, stop_after=0)
    variant = Variant(family="sequential", params=params, seed=1)
    name = f"t{number:04}"
    return SimpleNamespace(name=name, variant=variant, fold=0, worker={}, steering=steering, epoch=0, has_ended=False)


def grid(num_graphs, num_rates):
    return [
        {"filters": 4 + graph, "learning_rate": 0.001 * (1 + rate)}
        for graph in range(num_graphs)
        for rate in range(num_rates)
    ]


@pytest.mark.parametrize("num_workers", [1, 2, 3, 5])
@pytest.mark.parametrize("seed", range(5))
def test_every_trial_begins_once_and_few_are_traced_twice(num_workers, seed):
    rng = random.Random(seed)
    variants = grid(num_graphs=12, num_rates=4)
    if seed:
        rng.shuffle(variants)
    study = Study(variants)
    begun, traces = study.run(num_workers, seconds=lambda trial: rng.uniform(0.5, 2.0))
    assert sorted(trial.name for trial in begun) == [trial.name for trial in study.trials]
    plain, plain_traces = Study(variants, count=0).run(num_workers, seconds=lambda trial: rng.uniform(0.5, 2.0))
    assert [trial.name for trial in plain] == [trial.name for trial in study.trials]
    assert sum(traces.values()) <= sum(plain_traces.values()), (num_workers, seed)
    if not seed:
        # In a grid, each architecture is traced once, but for the last ones, which idle workers help with.
        assert sum(traces.values()) <= 12 + num_workers


def test_no_trial_is_passed_over_for_ever():
    # One architecture at the front, and new ones without end behind it, while its worker never comes back.
    variants = [{"filters": 4, "learning_rate": rate} for rate in (0.001, 0.002)]
    variants += [{"filters": 5 + number} for number in range(400)]
    study = Study(variants)
    seconds = {"t0000": 1e9}
    begun, _ = study.run(2, seconds=lambda trial: seconds.get(trial.name, 1.0))
    assert [trial.name for trial in begun].index("t0001") <= 2 * NUM_AHEAD + 2


def test_users_models_begin_in_order():
    study = Study(grid(3, 3))
    for trial in study.trials:
        trial.variant = Variant(family="custom", params={"function": "f:f", **trial.variant.params}, seed=1)
    begun = [study.ahead.next().name for _ in study.trials]
    assert begun == [trial.name for trial in study.trials]


def test_what_a_person_asks_for_begins_first_and_what_a_person_stops_does_not_begin():
    study = Study(grid(3, 4))
    assert study.ahead.next().name == "t0000"
    study.trials[4].steering.stop = "asked for"
    assert study.ahead.next().name == "t0005"
    assert study.stopped == ["t0004"]
    asked = trial_of(99, {"filters": 64})
    study.state.steering.waiting = {"asked": asked}
    study.coming = iter([asked])
    assert study.ahead.next() is asked

"""Replays: exact where curves are known, ranges that hold the truth where they are not, and a run as it was."""

from itertools import permutations

import pytest
from known_courses import ALGORITHMS, MAX_EPOCHS, full_run, policy, run_under

from orchestrator.early_stopping.decider import Rules
from orchestrator.errors import InputError
from orchestrator.journal.records import TrialFailed, TrialStopped
from orchestrator.journal.study_state import StudyState
from orchestrator.journal.trial import TrialState
from orchestrator.planning.courses import Course, core_seconds, courses_of
from orchestrator.planning.replay import Range, Replayed, as_it_was, replay_run
from orchestrator.planning.simulation import Setup, Simulation
from orchestrator.study.spec import Policy

SEEDS = range(8)


def numbers(item: Replayed) -> dict[str, Range]:
    return {
        name: getattr(item, name) for name in ("num_trials", "num_stopped", "epochs", "core_seconds", "wall_seconds")
    }


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("seed", SEEDS)
def test_a_replay_under_the_runs_own_rules_is_the_run(seed: int, algorithm: str) -> None:
    run = run_under(full_run(seed), algorithm)
    replayed = replay_run(run, policy(algorithm), slots=3, seed=seed)
    assert not replayed.open
    assert numbers(replayed) == numbers(as_it_was(run, schedule=""))
    assert replayed.best_value == as_it_was(run, schedule="").best_value


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("seed", SEEDS)
def test_a_full_run_tells_exactly_what_a_rule_would_have_made_of_it(seed: int, algorithm: str) -> None:
    full = full_run(seed)
    truth, told = run_under(full, algorithm), replay_run(full, policy(algorithm), slots=3, seed=seed)
    assert not told.open
    assert told.epochs == Range(low=len(truth.report_order), high=len(truth.report_order))
    assert told.survivors == tuple(trial.name for trial in truth.trials.values() if trial.state is TrialState.COMPLETED)
    assert told.core_seconds.low == told.core_seconds.high == core_seconds(truth)


@pytest.mark.parametrize("has_costs", [False, True])
@pytest.mark.parametrize("seed", SEEDS)
def test_a_replay_lets_trials_wait_and_go_on_as_the_run_did(seed: int, has_costs: bool) -> None:
    full = full_run(seed, has_costs=has_costs)
    run, wanted = run_under(full, "asha", promotion=True), policy("asha", promotion=True)
    told, again = (replay_run(state, wanted, slots=3, seed=seed) for state in (full, run))
    assert told.schedule == "asha with promotion"
    assert not told.open
    for replayed in (told, again):
        assert numbers(replayed) == numbers(as_it_was(run, schedule=""))
        assert replayed.best_trials == as_it_was(run, schedule="").best_trials
    ended = {trial.state for trial in run.trials.values()}
    assert ended == {TrialState.COMPLETED, TrialState.STOPPED}
    assert has_costs or any(trial.promoted is not None for trial in run.trials.values())


def test_replicates_between_the_trials_of_a_search_change_no_replay() -> None:
    for seed in SEEDS:
        plain, extended = full_run(seed), full_run(seed)
        new_names = {}
        for trial in list(extended.trials.values())[8:]:
            before, trial.name = trial.name, f"t{trial.number + 4:04d}"
            new_names[before] = trial.name
            trial.number, trial.num_others_before = trial.number + 4, 4
        extended.trials = {trial.name: trial for trial in extended.trials.values()}
        extended.report_order = [(new_names.get(name, name), epoch) for name, epoch in extended.report_order]
        told = [replay_run(state, policy("hyperband"), slots=3, seed=seed) for state in (plain, extended)]
        assert numbers(told[0]) == numbers(told[1])


def test_who_would_wait_for_whom_in_a_run_that_stopped_trials_is_refused_in_words() -> None:
    refusals = []
    for seed in SEEDS:
        try:
            replay_run(run_under(full_run(seed), "asha"), policy("asha", promotion=True), slots=3, seed=seed)
        except InputError as exc:
            refusals.append(str(exc))
    assert refusals
    for refusal in refusals:
        assert refusal.startswith("schedule.promotion: the run lacks later epochs of t00")
        assert refusal.endswith("replay promotion from a run without early stopping, or set it to false")
    with pytest.raises(InputError, match=r"^schedule\.promotion: trials wait at rungs with algorithm asha alone"):
        replay_run(full_run(1), policy("median", promotion=True), slots=3, seed=1)


def test_ranges_hold_what_the_run_does_not_tell() -> None:
    num_replays = num_open = 0
    for seed in SEEDS:
        full = full_run(seed)
        for had, wanted in permutations(ALGORITHMS, 2):
            told = replay_run(run_under(full, had), policy(wanted), slots=3, seed=seed)
            truth = replay_run(full, policy(wanted), slots=3, seed=seed)
            num_replays, num_open = num_replays + 1, num_open + bool(told.open)
            for name, known in numbers(truth).items():
                given = numbers(told)[name]
                assert given.low - 1e-9 <= known.low <= given.high + 1e-9, f"seed {seed}, {had} to {wanted}: {name}"
            assert set(told.survivors) <= set(truth.survivors)
    assert num_replays == len(SEEDS) * 20
    # A law about runs of which everything is known would say nothing.
    assert num_open > num_replays / 4


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_courses_chosen_one_by_one_make_the_study_that_they_make_in_their_order(algorithm: str) -> None:
    full = full_run(3)
    courses, begun = courses_of(full.trials.values()), []

    def choose(state: StudyState) -> Course | None:
        begun.append(len(state.trials))
        return courses[len(state.trials)] if len(state.trials) < 10 else None

    rules = Rules(schedule=policy(algorithm).schedule, metric="val_accuracy", mode="max", seed=3)
    setup = Setup(header=full.header, rules=rules, search=policy(algorithm).search, num_trials=16, slots=3)
    assert Simulation(setup, [], choose=choose).run() == Simulation(setup, courses[:10]).run()
    # It is asked when a slot is free, and after it had none left.
    assert begun[:11] == list(range(11))


def test_several_objectives_are_replayed_by_their_fronts() -> None:
    for seed in SEEDS:
        full = full_run(seed, has_costs=True)
        truth = run_under(full, "asha")
        told = replay_run(full, policy("asha"), slots=3, seed=seed)
        assert told.epochs == Range(low=len(truth.report_order), high=len(truth.report_order))
        reasons = [trial.stop.reason for trial in truth.trials.values() if trial.stop is not None]
        assert reasons
        assert all("better fronts of val_accuracy and parameters" in reason for reason in reasons)
        back = replay_run(truth, policy("none"), slots=3, seed=seed)
        assert back.epochs == Range(low=len(truth.report_order), high=len(full.report_order))
        ranged = replay_run(truth, policy("hyperband"), slots=3, seed=seed)
        exact = replay_run(full, policy("hyperband"), slots=3, seed=seed)
        assert ranged.epochs.low <= exact.epochs.low <= ranged.epochs.high


def test_an_objective_that_is_small_where_it_is_good_is_the_mirror_of_one_that_is_large() -> None:
    for algorithm in ALGORITHMS:
        high = replay_run(run_under(full_run(3), "asha"), policy(algorithm), slots=3, seed=3)
        low = replay_run(run_under(full_run(3, mode="min"), "asha"), policy(algorithm), slots=3, seed=3)
        assert numbers(high) == numbers(low)
        assert (high.open, high.survivors, high.best_trials) == (low.open, low.survivors, low.best_trials)


def test_slots_change_the_wall_time_and_not_the_cost_of_trials_that_nothing_stops() -> None:
    full = full_run(1)
    one, four = (replay_run(full, policy("none"), slots=slots, seed=1) for slots in (1, 4))
    assert one.core_seconds == four.core_seconds
    # A trial holds two cores, and one slot has no gaps.
    assert one.wall_seconds.low == pytest.approx(one.core_seconds.low / 2)
    assert four.wall_seconds.low < one.wall_seconds.low / 3


def test_budgets_end_a_replay_as_they_end_a_study() -> None:
    full = full_run(2)
    assert replay_run(full, policy("none", trials=5), slots=3, seed=2).epochs.high == 5 * MAX_EPOCHS
    by_epochs = replay_run(full, policy("none", epochs=20), slots=1, seed=2)
    # Two whole trials, and two epochs of the third.
    assert by_epochs.epochs == Range(low=20, high=20)
    assert by_epochs.num_trials == Range(low=3, high=3)
    assert by_epochs.num_stopped == Range(low=0, high=0)
    by_minutes = replay_run(full, policy("none", minutes=0.5), slots=1, seed=2)
    assert 30 <= by_minutes.wall_seconds.low < 30 + 7


def test_a_trial_that_failed_fails_where_it_did_if_it_gets_there() -> None:
    run = full_run(4, num_trials=4)
    trial = run.trials["t0002"]
    del trial.reports[4:], trial.reported_at[4:]
    trial.failure = TrialFailed(trial="t0002", kind="diverged", reason="the loss is nan", at=7.0)
    told = replay_run(run, policy("none"), slots=2, seed=4)
    assert not told.open
    assert told.epochs.low == 3 * MAX_EPOCHS + 4
    assert told.survivors == ("t0000", "t0001", "t0003")


def test_a_trial_whose_patience_ended_goes_no_further() -> None:
    run = full_run(5, num_trials=3)
    trial = run.trials["t0001"]
    del trial.reports[3:], trial.reported_at[3:]
    last = trial.reports[-1]
    trial.reports[-1] = type(last)(**{**last.to_json(), "is_last": True, "reason": "patience: no better epoch"})
    told = replay_run(run, policy("none"), slots=2, seed=5)
    assert not told.open
    assert told.epochs.high == 2 * MAX_EPOCHS + 3


def test_more_trials_than_the_run_has_are_refused() -> None:
    with pytest.raises(InputError, match=r"search.trials: must be at most 16, .* got 17"):
        replay_run(full_run(0), policy("asha", trials=17), slots=3, seed=0)


def test_another_horizon_is_refused_where_learning_rates_depend_on_it() -> None:
    run = full_run(0, num_trials=2)
    run.trials["t0001"].variant.params["schedule"] = "cosine"
    shorter = policy("none").model_copy(
        update={"schedule": policy("none").schedule.model_copy(update={"max_epochs": 5})}
    )
    with pytest.raises(InputError, match=r"schedule.max_epochs: must be 9 .* got 5.*cosine"):
        replay_run(run, shorter, slots=1, seed=0)
    del run.trials["t0001"].variant.params["schedule"]
    assert replay_run(run, shorter, slots=1, seed=0).epochs.high == 10


def test_the_others_meet_an_open_trial_as_the_best_and_as_the_worst() -> None:
    run = full_run(6, num_trials=2)
    first = run.trials["t0000"]
    del first.reports[1:], first.reported_at[1:]
    first.stop = TrialStopped(trial="t0000", epoch=1, reason="weak", at=1.0)
    late = Policy.model_validate(
        {"schedule": {"algorithm": "asha", "max_epochs": MAX_EPOCHS, "grace_epochs": 3, "reduction_factor": 2}}
    )
    told = replay_run(run, late, slots=1, seed=6)
    # One epoch and three, where the first would have beaten the second at epoch 3; else both train to their ends.
    assert told.epochs == Range(low=1 + 3, high=2 * MAX_EPOCHS)
    assert told.open == ("t0000",)
    assert told.survivors == ()
    assert told.best_trials == ("t0001",)

"""Studies whose trials' courses are known to the end, and so what any rule would have made of them."""

import random

from orchestrator.early_stopping.decider import Rules
from orchestrator.journal.records import EpochReported, SessionStarted, StudyOpened, TrialProposed, TrialStarted
from orchestrator.journal.study_state import StudyState
from orchestrator.planning.courses import courses_of
from orchestrator.planning.simulation import Setup, Simulation
from orchestrator.study.spec import Policy
from trainables.reports import EpochReport

MAX_EPOCHS = 9
ALGORITHMS = ("none", "asha", "median", "hyperband", "pasha")


def policy(algorithm: str, *, promotion: bool = False, **search: object) -> Policy:
    schedule = {"algorithm": algorithm, "max_epochs": MAX_EPOCHS, "grace_epochs": 1, "promotion": promotion}
    return Policy.model_validate({"schedule": schedule, "search": search})


def full_run(
    seed: int, *, num_trials: int = 16, slots: int = 3, mode: str = "max", has_costs: bool = False
) -> StudyState:
    """Returns a run in which every trial trained to its end, on curves that cross.

    Args:
        has_costs: Whether the parameters of a variant are a second objective.
    """
    draw, state = random.Random(seed), StudyState()
    objectives = [{"metric": "val_accuracy", "mode": mode}, {"metric": "parameters", "mode": "min"}]
    state.apply(
        StudyOpened(
            schema=2,
            study="s",
            seed=seed,
            metric="val_accuracy",
            mode=mode,
            max_epochs=MAX_EPOCHS,
            num_trials=num_trials,
            objectives=objectives if has_costs else [],
            at=0.0,
        )
    )
    state.apply(SessionStarted(driver_pid=1, slots=slots, at=0.0))
    sign = 1 if mode == "max" else -1
    for number in range(num_trials):
        name = f"t{number:04d}"
        variant = {"family": "sequential", "params": {"num_blocks": 1}, "seed": number}
        state.apply(TrialProposed(trial=name, number=number, variant=variant, at=0.0))
        state.apply(TrialStarted(trial=name, at=0.0))
        skill, pace, seconds = draw.random(), draw.uniform(0.5, 6), draw.uniform(1, 5)
        for epoch in range(1, MAX_EPOCHS + 1):
            value = skill * epoch / (epoch + pace) + draw.gauss(0, 0.01)
            report = EpochReport(
                epoch=epoch,
                metrics={"val_accuracy": sign * value},
                train_seconds=seconds,
                images_per_second=1.0,
                overhead_seconds={"build": 2.0} if epoch == 1 else {},
                is_last=epoch == MAX_EPOCHS,
                cost={"parameters": float(draw.randint(1, 40))} if has_costs and epoch == 1 else {},
            )
            state.apply(EpochReported(trial=name, report=report.to_json(), worker={"cpus": 2.0}, at=1.0))
    return state


def run_under(full: StudyState, algorithm: str, *, slots: int = 3, promotion: bool = False) -> StudyState:
    """Returns the run that a rule would have made of it."""
    header = full.header
    names = tuple(goal.metric for goal in header.goals) if header.objectives else ()
    schedule = policy(algorithm, promotion=promotion).schedule
    rules = Rules(schedule=schedule, metric=header.metric, mode=header.mode, seed=header.seed, objectives=names)
    setup = Setup(header=header, rules=rules, search=policy(algorithm).search, num_trials=len(full.trials), slots=slots)
    return Simulation(setup, courses_of(full.trials.values())).run()

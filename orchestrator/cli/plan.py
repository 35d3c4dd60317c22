"""The command that says what a study will cost before it runs."""

from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.console import make_console, print_json
from orchestrator.cli.options import JsonOption, SetOption, StudyArgument
from orchestrator.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.planning.plan import CostPlan, Extent
    from orchestrator.study.spec import StudySpec


def plan(
    study: StudyArgument,
    *,
    overrides: SetOption = None,
    sample: Annotated[int, typer.Option(min=1, max=1000, help="How many variants are built and counted.")] = 24,
    measure: Annotated[int, typer.Option(min=1, max=100, help="How many of them train for some steps.")] = 3,
    slots: Annotated[
        int | None, typer.Option(min=1, max=10_000, help="Also for so many trials at the same time.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Say what a study will cost before it runs: infeasible variants, seconds an epoch, wall time, core-hours, disk."""
    from orchestrator.planning.plan import Extent
    from orchestrator.search.auto_algorithm import with_algorithm
    from orchestrator.study.loading import load_study
    from orchestrator.views.terminal.plan_view import plan_json, print_plan
    from orchestrator.views.terminal.progress import make_progress
    from trainables.errors import DataError

    spec, _ = with_algorithm(load_study(study, overrides=overrides or ()))
    if spec.schedule.has_population:
        raise InputError(
            "schedule.algorithm: which trials go on from which is not known before they train, got "
            f"{spec.schedule.algorithm}; each place of the population trains max_epochs in all, so "
            "--set schedule.algorithm=none "
            f"--set search.trials={spec.schedule.population} plans what it costs"
        )
    asked = () if slots is None else (slots,)
    try:
        with make_progress(make_console(stderr=True)) as progress:
            found = _planned(
                spec, extent=Extent(slots=asked, num_sampled=sample, num_measured=measure), notify=progress.message
            )
    except DataError as exc:
        raise InputError(str(exc)) from exc
    if as_json:
        print_json(plan_json(found))
        return
    print_plan(make_console(), found)


def _planned(spec: "StudySpec", *, extent: "Extent", notify: "Callable[[str], None]") -> "CostPlan":
    """Returns the plan of a study whose data it prepares as a run does.

    Args:
        spec: The study, with a search algorithm.
        extent: How much is tried; its slots are those that the user asks about.
        notify: Receives messages for the user.
    """
    from dataclasses import replace

    from orchestrator.cluster.auto_resources import device_spec, resolve_auto
    from orchestrator.cluster.resources import concurrent_trials
    from orchestrator.cluster.this_machine import this_machine
    from orchestrator.driver.auto_schedule import with_numbers
    from orchestrator.planning.plan import plan_study
    from orchestrator.study.pretrained_weights import imagenet_backbones
    from trainables.data.cache.in_process import prepare_in_process
    from trainables.worker.fetch_weights import fetch_in_process

    def on_progress(stage: str, done: int, total: int) -> None:
        notify(f"{stage}: {done:,} of {total:,}")

    notify("reading the data")
    dataset = prepare_in_process(spec.data, spec.seed, verify=True, on_progress=on_progress)
    spec, said = with_numbers(spec, dataset)
    for sentence in said:
        notify(sentence)
    fetch_in_process(imagenet_backbones(spec.space, image_size=dataset.task.input_shape[:2]), on_progress=on_progress)
    nodes = [this_machine(spec.resources)]
    spec = resolve_auto(spec, dataset=dataset, nodes=nodes, is_local=True, notify=notify)
    here = concurrent_trials(spec.resources, nodes=nodes)
    return plan_study(
        spec,
        dataset=dataset,
        device=device_spec(spec.resources),
        extent=replace(extent, slots=(here, *extent.slots)),
        on_progress=on_progress,
    )

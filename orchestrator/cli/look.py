"""Commands that look at a run: status, analyze, report."""

import time
from dataclasses import asdict
from typing import TYPE_CHECKING

from orchestrator.cli.console import make_console, print_json
from orchestrator.cli.options import FoldOption, JsonOption, RunArgument, TimelineOption
from orchestrator.cli.runs import has_driver_elsewhere, local_run

if TYPE_CHECKING:
    from orchestrator.journal.study_state import StudyState
    from orchestrator.results.over_folds import FoldedVariant
    from orchestrator.runs.paths import RunFolder


def status(
    run: RunArgument, as_json: JsonOption = False, fold: FoldOption = None, timeline: TimelineOption = False
) -> None:
    """Show how far a run is, also while it runs; with the runs of other folds, also the mean of each variant."""
    from orchestrator.history.wall_time import wall_parts
    from orchestrator.journal.reading import load_state
    from orchestrator.runs.folder import open_run_folder
    from orchestrator.runs.lock import is_driver_alive
    from orchestrator.runs.owner import read_owner
    from orchestrator.views.terminal.facts import print_wall_time
    from orchestrator.views.terminal.folds_view import folds_json, print_folds
    from orchestrator.views.terminal.status_json import status_json
    from orchestrator.views.terminal.summary import print_status

    run_folder = open_run_folder(local_run(run))
    is_alive = is_driver_alive(run_folder) or has_driver_elsewhere(run)
    state, owner = load_state(run_folder), read_owner(run_folder)
    variants = _over_folds(run_folder, state, others=fold) if fold else None
    if as_json:
        content = status_json(state, folder=run_folder, is_alive=is_alive, owner=owner)
        if timeline:
            content["timeline"] = [asdict(part) for part in wall_parts(state, folder=run_folder)]
        print_json(content if variants is None else {**content, "over_folds": folds_json(variants)})
        return
    console = make_console()
    print_status(console, state, folder=run_folder, is_alive=is_alive, now=time.time(), owner=owner)
    if variants is not None:
        print_folds(console, variants, state=state)
    if timeline:
        print_wall_time(console, wall_parts(state, folder=run_folder))


def _over_folds(run_folder: "RunFolder", state: "StudyState", *, others: list[str]) -> "list[FoldedVariant]":
    """Returns the variants with a result in a run and in the runs of the other folds, best mean first."""
    from orchestrator.journal.reading import load_state
    from orchestrator.results.over_folds import demand_folds_of_one_study, variants_over_folds
    from orchestrator.runs.folder import open_run_folder

    folders = [open_run_folder(local_run(other)) for other in others]
    demand_folds_of_one_study([run_folder, *folders])
    return variants_over_folds([state, *map(load_state, folders)])


def analyze(run: RunArgument, as_json: JsonOption = False) -> None:
    """Show which parameters mattered, what their values did, and what stopping early saved; also while it runs."""
    from orchestrator.analysis.analysis import analysis_json, analysis_of
    from orchestrator.journal.reading import load_state
    from orchestrator.results.image_shares import image_shares
    from orchestrator.runs.folder import open_run_folder
    from orchestrator.views.terminal.analysis_view import print_analysis

    run_folder = open_run_folder(local_run(run))
    analysis = analysis_of(load_state(run_folder), shares=image_shares(run_folder))
    if as_json:
        print_json(analysis_json(analysis))
        return
    print_analysis(make_console(), analysis)


def report(run: RunArgument) -> None:
    """Write report.html anew, also while the study runs."""
    from orchestrator.journal.reading import load_state
    from orchestrator.runs.folder import open_run_folder
    from orchestrator.views.report import write_report

    run_folder = open_run_folder(local_run(run))
    print(write_report(run_folder, state=load_state(run_folder)))

"""Commands that look at a run: status, report."""

import time

from orchestrator.cli.console import make_console, print_json
from orchestrator.cli.options import JsonOption, RunArgument
from orchestrator.cli.runs import has_driver_elsewhere, local_run


def status(run: RunArgument, as_json: JsonOption = False) -> None:
    """Show how far a run is, also while it runs."""
    from orchestrator.journal.reading import load_state
    from orchestrator.runs.folder import open_run_folder
    from orchestrator.runs.lock import is_driver_alive
    from orchestrator.runs.owner import read_owner
    from orchestrator.views.terminal.status_json import status_json
    from orchestrator.views.terminal.summary import print_status

    run_folder = open_run_folder(local_run(run))
    is_alive = is_driver_alive(run_folder) or has_driver_elsewhere(run)
    state, owner = load_state(run_folder), read_owner(run_folder)
    if as_json:
        print_json(status_json(state, folder=run_folder, is_alive=is_alive, owner=owner))
    else:
        print_status(make_console(), state, folder=run_folder, is_alive=is_alive, now=time.time(), owner=owner)


def report(run: RunArgument) -> None:
    """Write report.html anew, also while the study runs."""
    from orchestrator.journal.reading import load_state
    from orchestrator.runs.folder import open_run_folder
    from orchestrator.views.report import write_report

    run_folder = open_run_folder(local_run(run))
    print(write_report(run_folder, state=load_state(run_folder)))

"""What readers of a large run wait for, and what that takes: `python benchmarks/dashboard.py`.

Makes the journal of a run that nobody trained, serves it by `convfleet dashboard`, and reads its pages in Chromium: the
seconds from asking for a page until its rows, its headline or its curves can be seen (first visit: nothing of the page
is in the browser's cache, and the server answers it for the first time), the milliseconds from a click or a typed text
until another row comes first, the server's memory, and its share of one core while a page is open. `--peers` does what
can be done likewise with Optuna's dashboard on the same trials; `--pages 50` runs the quickstart with 50 pages of it
open and with none, in turn. Needs chromium, chromedriver and selenium.
"""

import argparse
import os
import shutil
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

from dashboards.made_runs import made_run
from dashboards.optuna_peer import is_installed, optuna_rows
from dashboards.our_pages import our_rows
from dashboards.slowed_studies import slowed_rows


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--folder", type=Path, help="Keeps the made run for the next time.")
    parser.add_argument("--seconds", type=float, default=60.0, help="How long an open page is watched.")
    parser.add_argument("--tries", type=int, default=3, help="How often each page is read once it was.")
    parser.add_argument("--peers", action="store_true", help="Also read Optuna's dashboard on the same trials.")
    parser.add_argument("--peers-python", default=sys.executable, help="A Python that has optuna-dashboard.")
    parser.add_argument("--pages", type=int, default=0, help="Also run the quickstart with so many pages open.")
    parser.add_argument("--rounds", type=int, default=3, help="Of that.")
    parser.add_argument("--study-trials", type=int, default=24, help="Of that quickstart.")
    parser.add_argument("--only-pages", action="store_true", help="Leave out what needs the made run.")
    options = parser.parse_args()
    if not options.only_pages and (missing := missing_tools()):
        parser.error(f"needs {', '.join(missing)}, not installed; --only-pages needs none of them")

    # Of other work on the machine, which seconds of this table do not know.
    before = os.getloadavg()
    with tempfile.TemporaryDirectory(prefix="dashboard-", ignore_cleanup_errors=True) as name:
        rows = [] if options.only_pages else pages_of_made_run(options, Path(name))
        if options.pages:
            found = slowed_rows(pages=options.pages, rounds=options.rounds, trials=options.study_trials)
            rows += [("convfleet", *row) for row in found]
    busy = ", ".join(f"{load:.1f}" for load in before)
    show(
        rows, title=f"{options.trials:,} trials of {options.epochs} epochs, {os.cpu_count()} cores, load before: {busy}"
    )


def missing_tools() -> list[str]:
    """Returns what a machine lacks for reading pages."""
    programs = [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]
    return programs + [name for name in ("selenium", "psutil", "nicegui") if find_spec(name) is None]


def pages_of_made_run(options: argparse.Namespace, temporary: Path) -> list[tuple[str, str, str]]:
    """Returns what reading the pages of a made run took: whose, name, value."""
    folder = (options.folder or temporary).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    run = folder / f"made-{options.trials}-{options.epochs}"
    if not run.exists():
        import optuna

        # A sampler that draws a variant tells of each study that it makes for it.
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        made_run(run, num_trials=options.trials, num_epochs=options.epochs)
    log = temporary / "server.log"
    rows = [("convfleet", *row) for row in our_rows(run, seconds=options.seconds, tries=options.tries, log=log)]
    if not options.peers:
        return rows
    if not is_installed(options.peers_python):
        print(f"optuna-dashboard is not installed in {options.peers_python}: --peers-python names another Python")
        return rows
    found = optuna_rows(run, python=options.peers_python, tries=options.tries, log=log)
    return rows + [("optuna-dashboard", *row) for row in found]


def show(rows: list[tuple[str, str, str]], *, title: str) -> None:
    """Prints the table."""
    from rich.console import Console
    from rich.table import Table

    table = Table("dashboard", "what", "value", title=title)
    for row in rows:
        table.add_row(*row)
    Console(width=140).print(table)


if __name__ == "__main__":
    main()

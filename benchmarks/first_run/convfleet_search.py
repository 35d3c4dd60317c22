"""convfleet as its pages have it, `convfleet run FOLDER --minutes M`; and what its incumbents were worth.

`python -m first_run.convfleet_search JOB` judges a run that has ended. An incumbent is a trial whose best epoch was
better than all reports before it, at the time of that report; the last one is rank 1 of the leaderboard, whichever of
equals came first. Each is exported and answers for the test split, which the run's minutes do not pay for.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from first_run.job import Job


def command(job: Job) -> list[str]:
    """Returns the command line; the seed is the only key that is set."""
    # The same as the installed command, from whichever checkout PYTHONPATH names.
    program = [sys.executable, "-c", "from orchestrator.cli.app import main; main()"]
    runs = str(Path(job.folder) / "runs")
    return [*program, "run", job.images, "--minutes", f"{job.minutes:g}", "--runs", runs, "--set", f"seed={job.seed}"]


def main() -> None:
    import convfleet

    job = Job(**json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
    [root] = Path(job.folder, "runs").iterdir()
    ranked = ranked_trials(root)
    chosen = incumbents(ranked)
    convfleet.export_study(root, top=1 + max(rank for rank, _ in chosen), formats=["keras"])
    with Path(job.folder, "incumbents.jsonl").open("w", encoding="utf-8") as file:
        for rank, at in chosen:
            [manifest] = root.glob(f"exports/{rank + 1}-*/manifest.json")
            told = json.loads(manifest.read_text(encoding="utf-8"))
            accuracy, count = told["test_metrics"]["accuracy"], told["splits"]["test"]
            file.write(json.dumps({"seconds": at - job.started_at, "accuracy": accuracy, "count": count}) + "\n")


def ranked_trials(root: Path) -> list[tuple[float, float]]:
    """Returns the value and the time of the best report of each trial, larger is better, best rank first."""
    from orchestrator.journal.reading import load_state
    from orchestrator.results import ranking
    from orchestrator.runs.folder import open_run_folder

    state = load_state(open_run_folder(root))
    header = state.header
    sign = 1.0 if header.mode == "max" else -1.0
    trials = ranking.ranked_trials(list(state.trials.values()), **header.ranking)
    return [(sign * report.metrics[header.metric], trial.reported_at[report.epoch - 1]) for trial, report in trials]


def incumbents(ranked: Sequence[tuple[float, float]]) -> list[tuple[int, float]]:
    """Returns the place and the time of each trial that led when it reported, and of the first place at last.

    >>> incumbents([(0.9, 30.0), (0.9, 20.0), (0.5, 10.0), (0.4, 15.0)])
    [(2, 10.0), (1, 20.0), (0, 30.0)]
    """
    found: list[tuple[int, float]] = []
    best = float("-inf")
    for place in sorted(range(len(ranked)), key=lambda place: ranked[place][1]):
        value, at = ranked[place]
        if value > best:
            best = value
            found.append((place, at))
    return found if found[-1][0] == 0 else [*found, (0, max(ranked[0][1], found[-1][1]))]


if __name__ == "__main__":
    main()

"""How long until the first trial reports a target validation accuracy: convfleet against the peers' early stopping.

    python benchmarks/time_to_accuracy.py --data FOLDER --images 10000 --target 0.60 --seeds 5 --json target.json
    python benchmarks/time_to_accuracy.py          # the embedded digits, to 0.97

All search the same space (`SEARCH_SPACE` in peers/variants.py) on the same rows, none trains a trial for more than
`--epochs` epochs, and every one uses its own search with its own defaults: convfleet's TPE and ASHA, Keras Tuner's
Hyperband, Optuna's TPE with the MedianPruner and the HyperbandPruner (one and two threads), Ray Tune's random search
with its ASHAScheduler. Factors of halving are 3 everywhere. Each is a process of its own, which is stopped as soon as a
trial has reported the target; the clock runs from the start of the process to the time in that report. Seeds are the
rounds: each of them goes through all peers before the next one begins, and brings splits of its own.

Data is decoded beforehand for all, see compare_peers.py. Needs the extra `bench`.
"""

import argparse
import json
import math
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from peers.keras_tuner_search import has_tensorboard
from peers.prepare import DIGITS, images_read, source_of
from peers.rounds import Peer, Reports, machine, run_module, run_peer
from peers.shared import Job
from peers.tables import BASELINE, Outcome, save, summarise, told
from peers.variants import DEFAULTS, SEARCH_SPACE

OPTUNA = "peers.optuna_search"
PEERS = {
    BASELINE: Peer(module="", settings={}),
    "keras_tuner_hyperband": Peer(module="peers.keras_tuner_search", settings={}),
    "optuna_median": Peer(module=OPTUNA, settings={"pruner": "median"}),
    "optuna_median_2_threads": Peer(module=OPTUNA, settings={"pruner": "median", "threads": 2}),
    "optuna_hyperband": Peer(module=OPTUNA, settings={"pruner": "hyperband"}),
    "optuna_hyperband_2_threads": Peer(module=OPTUNA, settings={"pruner": "hyperband", "threads": 2}),
    "ray_tune_asha": Peer(module="peers.ray_tune_search", settings={}),
}
DIGITS_TARGET, IMAGES_TARGET = 0.97, 0.60


def main() -> None:
    options = parse_arguments()
    work = Path(tempfile.mkdtemp(prefix="peers-"))
    record: dict[str, Any] = {"command": sys.argv, "machine": machine(), "has_tensorboard": has_tensorboard()}
    outcomes: list[Outcome] = []
    try:
        for number in range(options.first_seed, options.first_seed + options.seeds):
            play_round(number, options=options, work=work, outcomes=outcomes, record=record)
    except KeyboardInterrupt:
        print("\ninterrupted; what there is:", flush=True)
        raise SystemExit(130) from None
    finally:
        if outcomes:
            show(outcomes, options=options)
        if options.keep:
            print(f"files: {work}")
        else:
            shutil.rmtree(work, ignore_errors=True)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default=DIGITS, help="A Parquet file of images, a folder with one, or digits.")
    parser.add_argument("--images", type=int, default=10_000, help="Training and validation images together.")
    parser.add_argument("--target", type=float, help=f"Default: {IMAGES_TARGET} ({DIGITS_TARGET} for digits).")
    parser.add_argument("--epochs", type=int, default=15, help="Epochs of a trial that nothing stops.")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=1, help="Further seeds add to earlier ones.")
    parser.add_argument("--peers", default=",".join(PEERS))
    parser.add_argument("--feed", choices=("arrays", "dataset"), help="Default: whichever is faster here.")
    parser.add_argument("--limit", type=float, default=1200.0, help="Seconds after which a peer has not reached it.")
    parser.add_argument("--json", type=Path, help="Written after every measurement.")
    parser.add_argument("--keep", action="store_true", help="Keep the peers' folders.")
    options = parser.parse_args()
    options.peers = options.peers.split(",")
    if unknown := sorted(set(options.peers) - set(PEERS)):
        parser.error(f"--peers: expected some of {', '.join(PEERS)}, got {', '.join(unknown)}")
    if options.target is None:
        options.target = DIGITS_TARGET if options.data == DIGITS else IMAGES_TARGET
    return options


def make_job(options: argparse.Namespace, *, seed: int, work: Path) -> Job:
    """Returns the job of one seed, after preparing its splits."""
    job = Job(
        variants=({**DEFAULTS, "batch_size": SEARCH_SPACE["batch_size"]},),
        epochs=options.epochs,
        batch_size=SEARCH_SPACE["batch_size"],
        data=str(work / "data.npz"),
        source=source_of(options.data),
        limit=images_read(options.data, num_images=options.images),
        folder=str(work / "prepare"),
        reports="",
        cores=len(os.sched_getaffinity(0)),
        seed=seed,
    )
    run_module("peers.prepare", job, work=work, limit_seconds=math.inf)
    if options.feed is None:
        run_module("peers.feeds", job, work=work, limit_seconds=math.inf)
        feeds = json.loads(Path(job.folder, "feeds.json").read_text(encoding="utf-8"))
        options.feed = min(feeds, key=feeds.get)
        print(f"peers are fed: {options.feed} (seconds an epoch: {feeds})", flush=True)
    return replace(job, variants=(), feed=options.feed)


def play_round(
    number: int, *, options: argparse.Namespace, work: Path, outcomes: list[Outcome], record: dict[str, Any]
) -> None:
    """Lets every peer search once with this seed."""
    job = make_job(options, seed=number, work=work)
    shift = (number - 1) % len(options.peers)
    for name in [*options.peers[shift:], *options.peers[:shift]]:
        folder = work / name
        own = replace(job, folder=str(folder), reports=str(folder / "reports.jsonl"))
        measured, reports, words = run_peer(
            PEERS[name], own, work=work, params={}, limit_seconds=options.limit, target=options.target
        )
        seconds = seconds_to(options.target, reports, started_at=measured.started_at)
        # A search that ends without the target has spent all of its trials; an error is another thing.
        problem = f"exit code {measured.exit_code}: {words}" if measured.exit_code and math.isinf(seconds) else ""
        best = max((report["val_accuracy"] for report in reports.all), default=0.0)
        details = {"best_val_accuracy": best, "epochs": len(reports.all)}
        outcomes.append(
            Outcome(
                peer=name,
                round=number,
                wall_seconds=seconds,
                cpu_seconds=measured.cpu_seconds,
                problem=problem,
                details=details,
            )
        )
        when = f"{seconds:.1f} s" if math.isfinite(seconds) else "not reached"
        said = problem or f"best val_accuracy {best:.3f} after {len(reports.all)} epochs of all trials"
        print(f"seed {number} {name}: {when}, {said}", flush=True)
        if options.json:
            save(options.json, record, outcomes)


def seconds_to(target: float, reports: Reports, *, started_at: float) -> float:
    """Returns when the first report had the target, in seconds from the start; infinite if none had."""
    times = [report["at"] - started_at for report in reports.all if report["val_accuracy"] >= target]
    return min(times, default=math.inf)


def show(outcomes: Sequence[Outcome], *, options: argparse.Namespace) -> None:
    """Prints the table."""
    from rich.console import Console
    from rich.table import Table

    never = f"not reached within {options.limit:.0f} s"
    title = f"seconds to a validation accuracy of {options.target}, medians"
    table = Table(
        "search", "seeds", "reached", "seconds", "fastest", "slowest", "CPU, s", "convfleet / it", title=title
    )
    for row in summarise(outcomes):
        reached = [outcome for outcome in outcomes if outcome.peer == row.peer and math.isfinite(outcome.wall_seconds)]
        table.add_row(
            row.peer,
            f"{row.num_rounds}" + (f" ({row.num_failed} failed)" if row.num_failed else ""),
            str(len(reached)),
            *(told(value, otherwise=never) for value in (row.wall_seconds, row.fastest, row.slowest)),
            told(row.cpu_seconds),
            told(row.ratio, digits=2, otherwise="-" if math.isnan(row.ratio) else "not reached"),
        )
    Console(width=170).print(table)


if __name__ == "__main__":
    main()

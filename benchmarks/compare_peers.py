"""The same variants through convfleet and through what people would pick instead.

    python benchmarks/compare_peers.py --preset cifar --data FOLDER --rounds 3 --json peers.json
    python benchmarks/compare_peers.py --preset long --data FOLDER       # efficiency against the floor
    python benchmarks/compare_peers.py --preset tiny                     # trials an hour, on the embedded digits

Every peer is a process of its own and takes its turn in every round; each round begins with another one. What counts is
the whole process, from its start to its end: imports, reading the data, training, validation, checkpoints of the best
epochs. All train the same architectures (parameter counts are compared) on the same rows in the same batches for the
same epochs; initial weights and the order of the images are each tool's own.

Data: decoded once before the first round. convfleet finds it in its cache, the peers in an npz file of the same uint8
arrays. With `--cold` nobody does: convfleet's cache is emptied before each of its rounds, and the peers decode the
Parquet file themselves. TensorFlow's threads are at their defaults in the peers; they are fed arrays or a
tf.data.Dataset, whichever trains faster here as measured before the first round.

The floor is the arithmetic alone: the sum over the variants of a steady epoch's seconds (convfleet's compiled epoch
with its validation, one process, one thread, after tracing) times the epochs, divided by the cores. `--busy-floor`
measures those epochs while the other cores train, too.

Needs the extra `bench`. CPU seconds: see peers/measuring.py.
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from peers import convfleet_run
from peers.keras_tuner_search import has_tensorboard
from peers.prepare import images_read, source_of
from peers.rounds import Peer, complaint, machine, outcome, run_module, run_peer
from peers.shared import Job
from peers.showing import efficiency_line, show_table
from peers.tables import BASELINE, Outcome, save
from peers.variants import PRESETS, Preset, variants_of

PEERS = {
    BASELINE: Peer(module="", settings={}),
    "keras_tuner": Peer(module="peers.keras_tuner_search", settings={}),
    "ray_tune": Peer(module="peers.ray_tune_search", settings={}),
    "optuna": Peer(module="peers.optuna_search", settings={"threads": 1}),
    "optuna_2_threads": Peer(module="peers.optuna_search", settings={"threads": 2}),
    "keras_loop": Peer(module="peers.keras_loop", settings={}),
}
SEED = 7


def main() -> None:
    options = parse_arguments()
    preset = PRESETS[options.preset]
    work = Path(tempfile.mkdtemp(prefix="peers-"))
    job = make_job(options, preset, work=work)
    record: dict[str, Any] = {"command": sys.argv, "machine": machine(), "has_tensorboard": has_tensorboard()}
    if not has_tensorboard():
        print("without tensorboard: Keras Tuner is spared importing it, which saves it time")
    outcomes: list[Outcome] = []
    try:
        job, record["floor"] = prepare(job, options=options, work=work)
        for number in range(1, options.rounds + 1):
            play_round(number, job, options=options, work=work, params=preset.params, outcomes=outcomes, record=record)
    except KeyboardInterrupt:
        print("\ninterrupted; what there is:", flush=True)
        raise SystemExit(130) from None
    finally:
        if outcomes:
            show(outcomes, record, job=job)
        if options.keep:
            print(f"files: {work}")
        else:
            shutil.rmtree(work, ignore_errors=True)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", choices=PRESETS, default="cifar")
    parser.add_argument("--variants", type=int, help="Default: the preset's; fewer are the first of its grid.")
    parser.add_argument("--epochs", type=int, help="Default: the preset's.")
    parser.add_argument("--images", type=int, help="Training and validation images together; default: the preset's.")
    parser.add_argument("--data", default="digits", help="A Parquet file of images, a folder with one, or digits.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peers", help=f"Some of {','.join(PEERS)}; default: the preset's.")
    parser.add_argument("--cold", action="store_true", help="Everyone decodes the images in every round.")
    parser.add_argument("--busy-floor", action="store_true", help="Measure the floor with all cores at work.")
    parser.add_argument("--limit", type=float, default=3600.0, help="Seconds that one peer may take in one round.")
    parser.add_argument("--json", type=Path, help="Written after every round.")
    parser.add_argument("--keep", action="store_true", help="Keep the peers' folders.")
    options = parser.parse_args()
    names = options.peers.split(",") if options.peers else list(PRESETS[options.preset].peers)
    if unknown := sorted(set(names) - set(PEERS)):
        parser.error(f"--peers: expected some of {', '.join(PEERS)}, got {', '.join(unknown)}")
    options.peers = names
    return options


def make_job(options: argparse.Namespace, preset: Preset, *, work: Path) -> Job:
    variants = tuple(variants_of(preset.params, count=options.variants or preset.num_variants))
    return Job(
        variants=variants,
        epochs=options.epochs or preset.epochs,
        batch_size=variants[0]["batch_size"],
        data=str(work / "data.npz"),
        decode=options.cold,
        source=source_of(options.data),
        limit=images_read(options.data, num_images=options.images or preset.num_images),
        folder=str(work / "prepare"),
        reports=str(work / "prepare" / "reports.jsonl"),
        cores=len(os.sched_getaffinity(0)),
        seed=SEED,
    )


def prepare(job: Job, *, options: argparse.Namespace, work: Path) -> tuple[Job, dict[str, Any]]:
    """Decodes the data, measures the floor and chooses how the peers are fed."""
    print(f"preparing: data, floor and feed for {len(job.variants)} variants", flush=True)
    threads = job.cores if options.busy_floor else 1
    for module in ("peers.prepare", "peers.floor", "peers.feeds"):
        run_module(module, replace(job, decode=False, threads=threads), work=work, limit_seconds=options.limit)
    floor = json.loads(Path(job.folder, "floor.json").read_text(encoding="utf-8"))
    feeds = json.loads(Path(job.folder, "feeds.json").read_text(encoding="utf-8"))
    floor["core_seconds"] = sum(floor["seconds"]) * job.epochs
    floor["wall_seconds"] = floor["core_seconds"] / job.cores
    print(
        f"floor: {floor['core_seconds']:.1f} core-seconds, {floor['wall_seconds']:.1f} s on {job.cores} cores; peers "
        f"are fed " + ", ".join(f"{kind} {taken:.3f} s an epoch" for kind, taken in sorted(feeds.items())),
        flush=True,
    )
    return replace(job, feed=min(feeds, key=feeds.get)), {**floor, "feeds": feeds}


def play_round(
    number: int,
    job: Job,
    *,
    options: argparse.Namespace,
    work: Path,
    params: Any,
    outcomes: list[Outcome],
    record: dict[str, Any],
) -> None:
    """Lets every peer have its turn; what one does wrong costs no other anything."""
    shift = (number - 1) % len(options.peers)
    for name in [*options.peers[shift:], *options.peers[:shift]]:
        folder = work / name
        own = replace(job, folder=str(folder), reports=str(folder / "reports.jsonl"))
        if options.cold:
            shutil.rmtree(work / "cache", ignore_errors=True)
        measured, reports, words = run_peer(PEERS[name], own, work=work, params=params, limit_seconds=options.limit)
        if measured.exit_code is None:
            problem = f"took more than {options.limit:.0f} s"
        elif measured.exit_code:
            problem = f"exit code {measured.exit_code}: {words}"
        else:
            parameters = record["floor"]["parameters"]
            problem = complaint(reports, num_variants=len(job.variants), epochs=job.epochs, parameters=parameters)
        best = max((report["val_accuracy"] for report in reports.all), default=0.0)
        details: dict[str, Any] = {"best_val_accuracy": best}
        if name == BASELINE and not problem:
            details |= efficiency_of(own)
        outcomes.append(outcome(name, number, measured, problem=problem, details=details))
        said = problem or f"best val_accuracy {best:.3f}"
        print(
            f"round {number} {name}: {measured.wall_seconds:.1f} s, CPU {measured.cpu_seconds:.1f} s, {said}",
            flush=True,
        )
        if options.json:
            save(options.json, record, outcomes)


def efficiency_of(job: Job) -> dict[str, Any]:
    """Returns what the run's tables tell, or why they do not."""
    try:
        return convfleet_run.efficiency(job)
    except Exception as exc:  # noqa: BLE001 - tables that changed must not lose the rounds that were measured
        return {"no_efficiency": repr(exc)}


def show(outcomes: Sequence[Outcome], record: dict[str, Any], *, job: Job) -> None:
    """Prints the table, and what convfleet's own tables tell."""
    floor = record["floor"]["wall_seconds"]
    what = f"{len(job.variants)} variants x {job.epochs} epochs"
    title = f"{what}, medians; floor {floor:.1f} s on {job.cores} cores"
    show_table(outcomes, title=title, num_trials=len(job.variants), floor_seconds=floor)
    for line in filter(None, (efficiency_line(item, floor_seconds=floor) for item in outcomes)):
        print(line)


if __name__ == "__main__":
    main()

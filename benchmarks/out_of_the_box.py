"""What a first run brings: convfleet against what people would pick instead, each with its defaults as documented.

    python benchmarks/out_of_the_box.py --data FOLDER --minutes 10 --json first.json
    python benchmarks/out_of_the_box.py --data-sets shapes,digits --minutes 2 --seeds 1

Nine data sets (first_run/data_sets.py), six contestants (first_run/, a file each): convfleet's `run FOLDER --minutes`,
AutoKeras, Keras Tuner with HyperResNet and with a tutorial's CNN, Optuna's Keras example and a beginner's plain CNN.
Every one is a process of its own on the same training images, with the same minutes from its start; it never sees the
test split before its time is up. The others are given arrays in memory, convfleet a folder of PNG files, which it reads
within its minutes. The three smallest sets are run with `--seeds` seeds, the others with one.

What counts: the accuracy on the test split of the model that a contestant holds for its best, and the seconds until it
first held one within 0.02 of the best that anybody reached there ("seconds to good").

CIFAR-10 (and the few photos drawn from it) needs `--data`, a folder with its two Parquet files. Needs the extra
`bench`. Ctrl-C shows what there is.
"""

import argparse
import json
import shutil
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from first_run import convfleet_search, table
from first_run.data_sets import DATA_SETS, write
from first_run.job import Job
from first_run.table import CONVFLEET, Played
from peers.measuring import measure
from peers.rounds import environment, last_words, machine

#: Module, and the model where a module has several.
CONTESTANTS = {
    CONVFLEET: ("first_run.convfleet_search", ""),
    "autokeras": ("first_run.autokeras_search", ""),
    "keras_tuner_resnet": ("first_run.keras_tuner_search", "resnet"),
    "keras_tuner_cnn": ("first_run.keras_tuner_search", "cnn"),
    "optuna_example": ("first_run.optuna_example", ""),
    "plain_keras": ("first_run.plain_cnn", ""),
}
#: Of the files that --data brings.
CIFAR10_FILE = "cifar10-train.parquet"
#: How many data sets, the smallest, are run with several seeds.
NUM_SMALLEST = 3
#: Seconds that judging a contestant's models may take after its time.
JUDGING = 900.0


def main() -> None:
    options = parse_arguments()
    work = Path(tempfile.mkdtemp(prefix="first-run-"))
    record: dict[str, Any] = {"command": sys.argv, "machine": machine()}
    played: list[Played] = []
    try:
        for name in options.data_sets:
            folder = work / name
            write(DATA_SETS[name](options.data), folder)
            several = list(DATA_SETS).index(name) < NUM_SMALLEST
            for seed in range(options.seeds if several else 1):
                for contestant in options.contestants:
                    item = play(contestant, data_set=name, seed=seed, data=folder, minutes=options.minutes)
                    played.append(item)
                    said = item.problem or f"{item.accuracy:.3f} after {len(item.incumbents)} best models"
                    print(f"{name} seed {seed} {contestant}: {said}", flush=True)
                    if options.json:
                        table.save(options.json, record, played)
            shutil.rmtree(folder, ignore_errors=True)
    except KeyboardInterrupt:
        print("\ninterrupted; what there is:", flush=True)
        raise SystemExit(130) from None
    finally:
        if played:
            table.show(played, minutes=options.minutes)
        shutil.rmtree(work, ignore_errors=True)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10.0, help="Of every contestant on every data set.")
    parser.add_argument("--seeds", type=int, default=5, help=f"On the {NUM_SMALLEST} smallest data sets.")
    parser.add_argument("--data", type=Path, help="The folder of CIFAR-10's Parquet files.")
    parser.add_argument("--data-sets", help=f"Some of {','.join(DATA_SETS)}; default: all, without --data all but two.")
    parser.add_argument("--contestants", default=",".join(CONTESTANTS), help="Some of the default.")
    parser.add_argument("--json", type=Path, help="Written after every contestant.")
    options = parser.parse_args()
    if options.data and not (options.data / CIFAR10_FILE).is_file():
        parser.error(f"--data: expected a folder with {CIFAR10_FILE} and its test file, got {options.data}")
    without = () if options.data else ("few-photos", "cifar10")
    names = options.data_sets.split(",") if options.data_sets else [name for name in DATA_SETS if name not in without]
    for key, given, known in (
        ("--data-sets", names, set(DATA_SETS) - set(without)),
        ("--contestants", options.contestants.split(","), set(CONTESTANTS)),
    ):
        if unknown := sorted(set(given) - known):
            hint = "; these need --data" if set(unknown) <= set(without) else ""
            parser.error(f"{key}: expected some of {', '.join(sorted(known))}, got {', '.join(unknown)}{hint}")
    options.data_sets, options.contestants = names, options.contestants.split(",")
    return options


def play(contestant: str, *, data_set: str, seed: int, data: Path, minutes: float) -> Played:
    """Lets a contestant have its minutes, judges its models, and returns what they are worth."""
    module, model = CONTESTANTS[contestant]
    folder = data / contestant
    folder.mkdir()
    job = Job(
        arrays=str(data / "arrays.npz"),
        images=str(data / "images"),
        folder=str(folder),
        minutes=minutes,
        seed=seed,
        model=model,
        started_at=time.time(),
    )
    judge = [sys.executable, "-m", module, str(job.write())]
    log, limit = folder / "output.txt", 60 * minutes + JUDGING
    # The names of Ray's sockets may have 107 letters in all.
    ray = Path(tempfile.mkdtemp(prefix="r"))
    settings = {**environment(folder), "RAY_TMPDIR": str(ray)}
    problem = ""
    if contestant == CONVFLEET:
        with convfleet_search.Keeper(job):
            ran = measure(convfleet_search.command(job), log=log, environment=settings, limit_seconds=limit)
        if ran.exit_code != 0:
            problem = f"exit code {ran.exit_code}: {last_words(log)}"
        log = folder / "judging.txt"
    if not problem:
        judged = measure(judge, log=log, environment=settings, limit_seconds=limit)
        if judged.exit_code != 0:
            problem = f"exit code {judged.exit_code}: {last_words(log)}"
    played = Played(data_set=data_set, contestant=contestant, seed=seed, problem=problem)
    found = folder / "incumbents.jsonl"
    lines = [json.loads(line) for line in found.read_text("utf-8").splitlines()] if found.exists() else []
    for used in (folder, ray):
        shutil.rmtree(used, ignore_errors=True)
    if not lines:
        return replace(played, problem=problem or "no model in its time")
    pairs = tuple((line["seconds"], line["accuracy"]) for line in lines)
    return replace(played, incumbents=pairs, count=lines[0]["count"])


if __name__ == "__main__":
    main()

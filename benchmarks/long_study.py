"""What grows in a long study: `python benchmarks/long_study.py --trials 1000`.

One study of real variants with TPE and ASHA, on the embedded digits or, with `--data FOLDER`, on 2,500 images of
CIFAR-10 (cifar10-train.parquet, cifar10-test.parquet). One trial in fifty fails by an error of its callback; every
minute a worker process is killed. The first tenth of the trials is set beside the last one: trials an hour, a worker's
seconds a trial in steps and beside them (the search goes to larger networks or smaller ones as it learns, so the rate
alone does not tell whether anything slows down), the memory of driver and workers (Pss: shared pages are shared out),
the run folder, and the seconds of `convfleet status`. At the end every trial of the journal must have a result, and
every report must be in the tables once.
"""

import argparse
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from serving_under_load import family

ROOT = Path(__file__).resolve().parents[1]
#: In the study's folder. Which trials fail follows from their learning rate, so a retry fails as well.
CALLBACK = """
import keras


class FailSometimes(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        rate = float(self.model.optimizer.learning_rate)
        if int(rate * 1e9) % 50 == 7:
            raise ValueError("this variant is made to fail")
"""
SPACE = {
    "family": "sequential",
    "params": {
        "num_blocks": {"choice": [1, 2, 3]},
        "filters": {"choice": [8, 16, 32]},
        "kernel_size": {"choice": [3, 5]},
        "dropout": {"float": [0.0, 0.5]},
        "learning_rate": {"float": [0.0003, 0.03], "log": True},
        "batch_size": {"choice": [32, 64]},
    },
}
MAX_EPOCHS = 9
SAMPLE_SECONDS, KILL_SECONDS = 2.0, 60.0
#: What is seen of a study once a tenth of its trials, and how it is printed.
LOOKED_AT = {"disk": ".1f", "files": "d", "status": ".2f"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--data", type=Path, help="A folder with CIFAR-10 as Parquet; default: the digits.")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, help="Where the samples are kept, one JSON a line.")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="long-study-") as name:
        folder = Path(name)
        (folder / "own.py").write_text(CALLBACK)
        (folder / "study.yaml").write_text(json.dumps(study_of(options)))
        samples, kills = watched(folder, options)
        lost = num_lost(folder)
        if options.out:
            options.out.write_text("".join(json.dumps(sample) + "\n" for sample in samples))
        show(samples, kills=kills, lost=lost, options=options)
    raise SystemExit(1 if lost else 0)


def study_of(options: argparse.Namespace) -> dict[str, Any]:
    """Returns the study."""
    data: dict[str, Any] = {"source": "digits"}
    if options.data is not None:
        files = {split: str((options.data / f"cifar10-{split}.parquet").resolve()) for split in ("train", "test")}
        data = {"source": "parquet", **files, "limit": 2500, "validation_fraction": 0.2}
    return {
        "name": "long",
        "seed": options.seed,
        "data": data,
        "space": SPACE,
        "callbacks": ["own:FailSometimes"],
        "search": {"algorithm": "tpe", "trials": options.trials},
        "schedule": {"algorithm": "asha", "max_epochs": MAX_EPOCHS, "grace_epochs": 1},
        "export": {"top": 1, "formats": ["keras"]},
        "references": False,
    }


def watched(folder: Path, options: argparse.Namespace) -> tuple[list[dict[str, float]], int]:
    """Runs the study; returns what was seen of it every two seconds, and how many workers were killed."""
    draws, samples, kills, run = random.Random(options.seed), [], 0, folder / "runs" / "long"
    command = [sys.executable, "-m", "convfleet", "run", "study.yaml"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "CONVFLEET_CACHE": str(folder / "cache")}
    journal = tail(run / "journal.jsonl")
    began = last_kill = time.monotonic()
    ended, steps = 0, 0.0
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
        while process.poll() is None:
            time.sleep(SAMPLE_SECONDS)
            records = next(journal)
            ended += sum(map(ends_a_trial, records))
            steps += sum(map(seconds_of_steps, records))
            tree = family(process.pid)
            workers = [pid for pid, line in tree.items() if line.startswith("ray::") and "Trainable" in line]
            samples.append(
                {
                    "at": time.monotonic() - began,
                    "ended": ended,
                    "steps": steps,
                    "num_workers": len(workers),
                    "driver": pss(process.pid),
                    "workers": sum(map(pss, workers)),
                }
            )
            if workers and ended and time.monotonic() - last_kill > KILL_SECONDS:
                last_kill = time.monotonic()
                os.kill(draws.choice(workers), signal.SIGKILL)
                kills += 1
            if due(samples, options.trials):
                # Not with each sample: the more files there are, the more of the study's time looking at them takes.
                files, megabytes = size(run)
                samples[-1] |= {"status": seconds_of_status(folder, environment), "disk": megabytes, "files": files}
    if process.returncode:
        print((folder / "log").read_text()[-3000:], file=sys.stderr)
        raise SystemExit(process.returncode)
    samples[-1]["failed"] = sum(record["type"] == "trial_failed" for record in next(tail(run / "journal.jsonl")))
    return samples, kills


def ends_a_trial(record: dict[str, Any]) -> bool:
    """Returns whether a record is the last of a trial."""
    is_last = record["type"] == "epoch_reported" and record["report"]["epoch"] == MAX_EPOCHS
    return is_last or record["type"] in ("trial_stopped", "trial_failed")


def seconds_of_steps(record: dict[str, Any]) -> float:
    """Returns the seconds of training and validation that a record tells of."""
    if record["type"] != "epoch_reported":
        return 0.0
    return record["report"]["train_seconds"] + record["report"].get("overhead_seconds", {}).get("validate", 0.0)


def due(samples: list[dict[str, float]], trials: int) -> bool:
    """Returns whether a tenth of the trials has ended since the last look at the status."""
    looked = [sample["ended"] for sample in samples if "status" in sample]
    return samples[-1]["ended"] // (trials // 10) > (looked[-1] if looked else 0) // (trials // 10)


def seconds_of_status(folder: Path, environment: dict[str, str]) -> float:
    began = time.monotonic()
    command = [sys.executable, "-m", "convfleet", "status", "runs/long"]
    subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, check=True)
    return time.monotonic() - began


def tail(path: Path) -> Iterator[list[dict[str, Any]]]:
    """Yields the whole records that have come since the last call."""
    at = 0
    while True:
        text = b""
        if path.exists():
            with path.open("rb") as file:
                file.seek(at)
                text = file.read()
        text = text[: text.rfind(b"\n") + 1]
        at += len(text)
        yield [json.loads(line) for line in text.splitlines()]


def pss(pid: int) -> float:
    """Returns the megabytes of a process, shared pages shared out."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1e3 for line in lines if line.startswith("Pss:")), 0.0)


def size(folder: Path) -> tuple[int, float]:
    """Returns the number of a folder's files and folders, and their megabytes."""
    number = total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size
        except OSError:
            continue
        number += 1
    return number, total / 1e6


def num_lost(folder: Path) -> int:
    """Returns how many trials have no result, and how many reports are not in the tables once."""
    import pyarrow.parquet as pq

    run = folder / "runs" / "long"
    records = next(tail(run / "journal.jsonl"))
    begun = {record["trial"] for record in records if record["type"] == "trial_proposed"}
    ended = {record["trial"] for record in records if ends_a_trial(record)}
    told = {(record["trial"], record["report"]["epoch"]) for record in records if record["type"] == "epoch_reported"}
    table = pq.read_table(run / "epochs.parquet", columns=["trial", "epoch"]).to_pylist()
    rows = [(row["trial"], row["epoch"]) for row in table]
    return len(begun - ended) + len(told.symmetric_difference(rows)) + len(rows) - len(set(rows))


def show(samples: list[dict[str, float]], *, kills: int, lost: int, options: argparse.Namespace) -> None:
    """Prints the table."""
    from rich.console import Console
    from rich.table import Table

    tenth = options.trials // 10
    columns = ("trials", "an hour", "in steps, s", "beside, s", "driver MB", "workers MB", "run MB", "files", "status")
    table = Table(*columns, title=f"{options.trials} trials, {'CIFAR-10' if options.data else 'digits'}")
    for part in range(10):
        # The first trials wait for Ray.
        low, high = max(1, part * tenth), (part + 1) * tenth
        inside = [sample for sample in samples if low <= sample["ended"] < high]
        inside += [sample for sample in samples if sample["ended"] >= high][:1]
        if len(inside) < 2 or inside[-1]["ended"] == inside[0]["ended"]:
            continue
        passed = inside[-1]["at"] - inside[0]["at"]
        ended, steps = (inside[-1][name] - inside[0][name] for name in ("ended", "steps"))
        # A worker that was killed is away for a moment, and its epoch is lost: both are time beside the steps.
        lived = passed * statistics.median(sample["num_workers"] for sample in inside)
        means = [sum(sample[name] for sample in inside) / len(inside) for name in ("driver", "workers")]
        # A look comes as soon as a tenth is full.
        looks = [sample for sample in samples if "status" in sample and 0 <= sample["ended"] - high < tenth]
        table.add_row(
            f"{low} to {high}",
            f"{3600 * ended / passed:,.0f}",
            f"{steps / ended:.2f}",
            f"{(lived - steps) / ended:.2f}",
            *(f"{mean:.0f}" for mean in means),
            *(f"{looks[0][name]:{form}}" if looks else "" for name, form in LOOKED_AT.items()),
        )
    console = Console(width=110)
    console.print(table)
    failed = samples[-1]["failed"]
    console.print(
        f"{kills} workers killed, {failed} trials failed; trials without a result, reports lost or twice: {lost}"
    )


if __name__ == "__main__":
    main()

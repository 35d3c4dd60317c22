"""The same study on one host and on several with the same cores: `python benchmarks/several_hosts.py`.

Hosts are namespaces of this machine (tests/helpers/hosts.py). Either cluster has a head without CPUs, on which the
driver runs, and beside it one host with all cores of the machine, or one for each core, pinned to it. Each round runs
the study on both, in turn. Needs root and iproute2.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests" / "helpers"), str(ROOT / "tests" / "faults")]

from hosted_studies import HostedStudy  # noqa: E402
from hosts import Hosts, missing  # noqa: E402

ONE, SEVERAL = "one host", "several hosts"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=16)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    if reason := missing():
        parser.error(reason)
    cores = sorted(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory(prefix="hosts-") as name:
        clusters = {ONE: Hosts(Path(name) / "one"), SEVERAL: Hosts(Path(name) / "several")}
        try:
            start(clusters[ONE], [cores])
            start(clusters[SEVERAL], [[core] for core in cores])
            show(options, measured(clusters, options), num_cores=len(cores))
        finally:
            for hosts in clusters.values():
                hosts.down()


def start(hosts: Hosts, shares: list[list[int]]) -> None:
    """Starts a head, and a host for each share of the cores."""
    names = [f"node{number}" for number in range(len(shares))]
    hosts.up("head", *names)
    hosts.ray_head()
    for name, share in zip(names, shares, strict=True):
        hosts.hosts[name].cores = ",".join(map(str, share))
        hosts.ray_worker(name, cpus=len(share))


def measured(clusters: dict[str, Hosts], options: argparse.Namespace) -> dict[str, list[dict[str, float]]]:
    """Returns what each round's studies took, by cluster; one before them fills the caches of images."""
    found: dict[str, list[dict[str, float]]] = {name: [] for name in clusters}
    for number in range(options.rounds + 1):
        for name in list(clusters)[:: -1 if number % 2 else 1]:
            item = study_on(clusters[name], f"round-{number}", options)
            if number:
                found[name].append(item)
                print(f"round {number}, {name}: {item['command']:.1f} s", file=sys.stderr, flush=True)
    return found


def study_on(hosts: Hosts, name: str, options: argparse.Namespace) -> dict[str, float]:
    began = time.monotonic()
    study = HostedStudy(
        hosts,
        name,
        "--address",
        "auto",
        search={"algorithm": "random", "trials": options.trials},
        schedule={"algorithm": "none", "max_epochs": options.epochs},
        export={"top": 0},
    )
    study.end()
    took = time.monotonic() - began
    reports = study.records("epoch_reported")
    assert len(study.rows()) == options.trials * options.epochs
    trained = reports[-1]["at"] - min(record["at"] for record in study.records("trial_started"))
    return {"command": took, "trials": trained}


def show(options: argparse.Namespace, found: dict[str, list[dict[str, float]]], *, num_cores: int) -> None:
    """Prints the table."""
    from rich.console import Console
    from rich.table import Table

    title = f"{options.trials} trials of {options.epochs} epochs, {num_cores} cores in all"
    table = Table("what", ONE, f"{num_cores} hosts", "trials an hour, ratio of each round", title=title)
    for what, key in (("the command, s", "command"), ("first start to last report, s", "trials")):
        one, several = ([item[key] for item in found[name]] for name in (ONE, SEVERAL))
        ratios = [first / second for first, second in zip(one, several, strict=True)]
        shown = ", ".join(f"{ratio:.3f}" for ratio in ratios)
        table.add_row(what, listed(one), listed(several), f"{shown}; median {statistics.median(ratios):.3f}")
    Console(width=140).print(table)


def listed(values: list[float]) -> str:
    return ", ".join(f"{value:.1f}" for value in values)


if __name__ == "__main__":
    main()

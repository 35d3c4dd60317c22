#!/usr/bin/env bash
# A task makes Ray start a worker process more than it uses; an actor makes it start the one that it lives in.
#
# One would guess: a lone task starts the process that it runs in, above all where the starting of workers ahead is off.
# What happens: with `prestart_worker_first_driver` and `enable_worker_prestart` both off, one task still brings two processes
# where its node has two CPUs or more. Each imports what workers preload, and the two do it on cores that the task needs.
# Who is hurt: whoever asks a task for something heavy at the end of other work, as the export of one model: the process that
# nothing uses imports TensorFlow, some 6 s of a core and 400 MB.
# Ours: orchestrator/cluster/processes.py has actors answer requests, as many as there are requests or places.
set -euo pipefail
source "$(dirname "$0")/_setup.sh"
fresh_venv 'ray==2.60.0' psutil==7.2.2
cat > "$work/finding.py" <<'PYTHON'
import sys
import time

import psutil
import ray

CPUS = 4


def workers():
    found = 0
    for process in psutil.Process().children(recursive=True):
        line = "".join(process.cmdline())
        found += line.startswith("ray::") and "Agent" not in line
    return found


def most_workers(work):
    off = {"prestart_worker_first_driver": False, "enable_worker_prestart": False}
    ray.init(num_cpus=CPUS, include_dashboard=False, log_to_driver=False, _system_config=off)
    before = workers()
    ray.get(work())
    most, until = 0, time.monotonic() + 20
    while time.monotonic() < until:
        most = max(most, workers())
        time.sleep(0.2)
    ray.shutdown()
    return before, most


def task():
    return ray.remote(lambda: 1).options(num_cpus=1).remote()


def actor():
    class Work:
        def one(self):
            return 1

    kept.append(ray.remote(Work).options(num_cpus=1).remote())
    return kept[-1].one.remote()


kept = []
of_task, of_actor = most_workers(task), most_workers(actor)
print(f"workers before and after one task of one CPU on {CPUS} CPUs: {of_task}; one actor: {of_actor}")
if of_task != (0, 2):
    sys.exit("changed: a task starts other numbers of processes")
if of_actor != (0, 1):
    sys.exit("changed: an actor starts other numbers of processes")
PYTHON
quietly python "$work/finding.py"

#!/usr/bin/env bash
# Ray counts CPUs that its process may not run on.
#
# One would guess: under `taskset`, or in a batch system's CPU set, a local Ray has as many CPUs as the process may use.
# What happens: it counts those of the machine (or of the container's quota); the affinity is not asked. Its workers inherit
# the affinity, so as many tasks as the machine has CPUs share those few.
# Who is hurt: jobs on shared nodes whose CPUs are given by affinity, as Slurm does it: a job with 4 of 64 CPUs runs 64
# tasks at once, and its memory with it.
# Ours: orchestrator/cluster/connection.py gives Ray no more CPUs than the process's affinity has.
set -euo pipefail
source "$(dirname "$0")/_setup.sh"
fresh_venv 'ray[tune]==2.60.0'
cat > "$work/finding.py" <<'PYTHON'
import os
import sys

import ray

if os.cpu_count() < 2:
    sys.exit("this needs a machine with two CPUs")
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
ray.init(include_dashboard=False, log_to_driver=False)


@ray.remote
def usable():
    return len(os.sched_getaffinity(0))


counted, in_worker = ray.cluster_resources()["CPU"], ray.get(usable.remote())
print(f"the process may use 1 CPU, a worker of it {in_worker}; Ray counts {counted:g}")
if counted == 1:
    sys.exit("changed: Ray counts the CPUs that the process may use")
PYTHON
quietly python "$work/finding.py"

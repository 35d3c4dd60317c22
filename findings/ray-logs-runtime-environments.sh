#!/usr/bin/env bash
# Ray writes the values of a runtime environment into its logs, and Ray Tune puts the driver's keys of AWS into one.
#
# One would guess: variables that Ray hands to processes stand in their environments alone.
# What happens: an actor's `env_vars` are in `runtime_env_agent.log` of its node, values included. Ray Tune puts
# AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and others of the driver into that of every trial.
# Who is hurt: whoever shows the logs of a cluster to people who may not have its credentials.
# Ours: orchestrator/cluster/ray_internals.py takes them out of what Ray Tune hands on, and orchestrator/cluster/processes.py and
# trainables/worker/adapter.py get them as arguments, of which the logs have nothing.
set -euo pipefail
source "$(dirname "$0")/_setup.sh"
fresh_venv 'ray[tune]==2.60.0'
cat > "$work/finding.py" <<'PYTHON'
import os
import sys
from pathlib import Path

import ray
from ray import tune

os.environ["AWS_SECRET_ACCESS_KEY"] = "told-to-tune"


class Process:
    def __init__(self, argument=""):
        os.environ["ARGUMENT"] = argument

    def secret(self, name):
        return os.environ[name]


def trial(config):
    return {"is_there": os.environ["AWS_SECRET_ACCESS_KEY"] == "told-to-tune"}


context = ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
named = ray.remote(Process).options(runtime_env={"env_vars": {"NAMED": "told-as-environment"}}).remote()
given = ray.remote(Process).remote("told-as-argument")
assert ray.get(named.secret.remote("NAMED")) == "told-as-environment"
assert ray.get(given.secret.remote("ARGUMENT")) == "told-as-argument"
tune.Tuner(trial, run_config=tune.RunConfig(verbose=0)).fit()
logs = Path(context.address_info["session_dir"], "logs")
text = "".join(path.read_text(errors="replace") for path in logs.rglob("*") if path.is_file())
ray.shutdown()
found = {secret: secret in text for secret in ("told-as-environment", "told-to-tune", "told-as-argument")}
print(f"in the logs: {found}")
if found != {"told-as-environment": True, "told-to-tune": True, "told-as-argument": False}:
    sys.exit("changed: the logs have other values")
PYTHON
quietly python "$work/finding.py"

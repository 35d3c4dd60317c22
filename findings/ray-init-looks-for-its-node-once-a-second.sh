#!/usr/bin/env bash
# `ray.init` looks whether the node that it starts is there, and then once a second.
#
# One would guess: a local Ray takes as long to start as its processes take, and starts sooner where they are fewer.
# What happens: the node's daemon is registered some tenths of a second after it was started; `ray.init` asks for it a
# tenth of a second after the start, is too early, and sleeps a whole second before it asks again. So leaving processes
# out changes nothing. Here the same question is asked every 20 ms first.
# Who is hurt: every script, test and notebook that starts a local Ray: up to a second of nothing, each time.
# Ours: `node_awaited_closely` in orchestrator/cluster/ray_internals.py.
set -euo pipefail
source "$(dirname "$0")/_setup.sh"
fresh_venv 'ray[tune]==2.60.0'
cat > "$work/finding.py" <<'PYTHON'
import statistics
import sys
import time

import ray
from ray._private import services
from ray._private.state import GlobalState

ROUNDS = 5
get_node, first_asked, there = services.get_node, [], []


def noting(address, node_id):
    """Notes when Ray asks, and when it is told; Ray's own waiting is within the call."""
    first_asked.append(time.monotonic())
    node = get_node(address, node_id)
    there.append(time.monotonic())
    return node


def closely(address, node_id):
    first_asked.append(time.monotonic())
    seen = GlobalState()
    seen._initialize_global_state(services._get_gcs_client_options(address))
    while not any(node["NodeID"] == node_id for node in seen.node_table()):
        time.sleep(0.02)
    there.append(time.monotonic())
    return get_node(address, node_id)


def waited(how):
    first_asked.clear()
    there.clear()
    services.get_node = how
    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False)
    ray.shutdown()
    return there[0] - first_asked[0]


seconds = [(waited(noting), waited(closely)) for _ in range(ROUNDS)]
plain, close = (statistics.median(values) for values in zip(*seconds, strict=True))
for own, other in seconds:
    print(f"Ray waited {own:.2f} s; asked every 20 ms, the node was there after {other:.2f} s")
if not (plain % 1 < 0.15 or plain % 1 > 0.95) or close > 0.95 * plain:
    sys.exit("changed: Ray does not wait for its node in whole seconds")
PYTHON
quietly python "$work/finding.py"

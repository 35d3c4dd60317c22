#!/usr/bin/env bash
# A node that is drained leaves as soon as nothing runs on it, long before its deadline, and Ray's list of nodes says
# nothing of it before.
#
# One would guess: a node that drains for five minutes is there for five minutes, marked as one that drains.
# What happens: an idle node is dead within seconds; one with an actor stays, and `ray.nodes()` shows it like any other.
# Who is hurt: who moves work off a node that a cloud is about to take, and counts on the rest of the warning for what
# lies on that node's disk; and who looks at `ray.nodes()` to find out that there is a warning.
# Ours: orchestrator/tuning/drained_nodes.py ends a worker after its checkpoint is whole and not before, and
# orchestrator/cluster/ray_internals.py asks Ray's control store which nodes drain.
set -euo pipefail
source "$(dirname "$0")/_setup.sh"
fresh_venv 'ray[tune]==2.60.0'
cat > "$work/finding.py" <<'PYTHON'
import subprocess
import sys
import time

import ray
from ray.cluster_utils import Cluster
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

DEADLINE_SECONDS, WATCHED_SECONDS = 300, 30

cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
nodes = {name: cluster.add_node(num_cpus=1).node_id for name in ("idle", "busy")}
ray.init(address=cluster.address, log_to_driver=False)


@ray.remote(num_cpus=1)
class Worker:
    def answer(self):
        return 42


worker = Worker.options(scheduling_strategy=NodeAffinitySchedulingStrategy(nodes["busy"], soft=False)).remote()
assert ray.get(worker.answer.remote()) == 42
for node in nodes.values():
    drain = ["ray", "drain-node", "--address", cluster.address, "--node-id", node, "--reason"]
    drain += ["DRAIN_NODE_REASON_PREEMPTION", "--reason-message", "spot"]
    subprocess.run([*drain, "--deadline-remaining-seconds", str(DEADLINE_SECONDS)], check=True, capture_output=True)
began, left = time.monotonic(), None
while time.monotonic() - began < WATCHED_SECONDS:
    listed = {node["NodeID"]: node for node in ray.nodes()}
    if left is None and not listed[nodes["idle"]]["Alive"]:
        left = time.monotonic() - began
    time.sleep(0.5)
busy = listed[nodes["busy"]]
found = {
    "idle node left": left is not None,
    "busy node is there and answers": busy["Alive"] and ray.get(worker.answer.remote()) == 42,
    "list of nodes names the drain": "drain" in str(busy).lower(),
}
print(f"deadline in {DEADLINE_SECONDS} s, looked at for {WATCHED_SECONDS} s: {found}")
if left is not None:
    print(f"the idle node was gone after {left:.0f} s")
ray.shutdown()
cluster.shutdown()
if found != {"idle node left": True, "busy node is there and answers": True, "list of nodes names the drain": False}:
    sys.exit("changed: nodes that drain are treated otherwise")
PYTHON
quietly python "$work/finding.py"

#!/usr/bin/env bash
# Every replica of Ray Serve listens on all interfaces, also where HTTP and the node keep to loopback.
#
# One would guess: with HTTP on 127.0.0.1 and a Ray that keeps to loopback, a server can be reached from this machine alone.
# What happens: each replica starts a gRPC server on `[::]` and a random port, for calls of other replicas, also where nothing
# calls it so. Ray's token stands before it, in plain text; with RAY_AUTH_MODE=disabled, nothing stands before its unpickling.
# Who is hurt: whoever runs Ray Serve on a machine that others reach, and believes it to be unreachable from outside.
# Ours: orchestrator/serving/on_ray/serve_internals.py keeps replicas from listening; the proxy calls them as actors.
set -euo pipefail
source "$(dirname "$0")/_setup.sh"
fresh_venv 'ray[serve]==2.60.0' psutil==7.2.2
cat > "$work/finding.py" <<'PYTHON'
import os
import sys

os.environ["RAY_AUTH_MODE"] = "token"
os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"

import psutil
import ray
from ray import serve


@serve.deployment(ray_actor_options={"num_cpus": 0})
class Nothing:
    def __call__(self, request):
        return ""


ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False, _node_ip_address="127.0.0.1")
serve.start(http_options={"host": "127.0.0.1", "port": 18765})
serve.run(Nothing.bind())
open_to_all = [
    socket.laddr.port
    for process in psutil.Process().children(recursive=True)
    if "ServeReplica" in "".join(process.cmdline())
    for socket in process.net_connections("inet")
    if socket.status == psutil.CONN_LISTEN and socket.laddr.ip in ("0.0.0.0", "::")
]
print("the node's address:", ray.nodes()[0]["NodeManagerAddress"])
print("ports of the replica on all interfaces:", len(open_to_all))
serve.shutdown()
if not open_to_all:
    sys.exit("changed: a replica keeps to loopback now")
PYTHON
quietly python "$work/finding.py"

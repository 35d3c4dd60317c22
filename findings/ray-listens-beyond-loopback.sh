#!/usr/bin/env bash
# A local Ray listens on every interface, also where it is given the loopback address.
#
# One would guess: `ray.init()` without an address is for this machine alone, at the latest with
# `_node_ip_address="127.0.0.1"`.
# What happens: Ray takes the network's address for its node all the same, and its services (GCS, raylet, workers)
# listen on all interfaces. Since 2.59 a token stands before them; with RAY_AUTH_MODE=disabled, nothing does.
# Who is hurt: whoever runs Ray on a laptop, or a shared host, and believes it to be unreachable from outside.
# Ours: orchestrator/cluster/ray_internals.py switches clusters off for a Ray of its own, which makes it keep to
# loopback; orchestrator/cluster/connection.py insists on the token.
set -euo pipefail
source "$(dirname "$0")/_setup.sh"
fresh_venv 'ray[tune]==2.60.0' psutil==7.2.2
cat > "$work/finding.py" <<'PYTHON'
import sys

import psutil
import ray

ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False, _node_ip_address="127.0.0.1")
open_to_all = {
    process.name()
    for process in psutil.Process().children(recursive=True)
    for socket in process.net_connections("inet")
    if socket.status == psutil.CONN_LISTEN and socket.laddr.ip in ("0.0.0.0", "::")
}
address = ray.nodes()[0]["NodeManagerAddress"]
print("told 127.0.0.1; the node's address", "is 127.0.0.1" if address == "127.0.0.1" else "is the network's")
print("listen on all interfaces:", sorted(open_to_all))
if not {"raylet", "gcs_server"} <= open_to_all:
    sys.exit("changed: a local Ray keeps to loopback now")
PYTHON
quietly python "$work/finding.py"

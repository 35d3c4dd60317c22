"""A study on a running Ray cluster: a head without CPUs, two worker nodes, token authentication on."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from types import SimpleNamespace

import pyarrow.parquet as pq
import pytest

pytestmark = pytest.mark.slow

CLUSTER = """
import sys
import tempfile
from ray.cluster_utils import Cluster
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
for kind in ("steady", "spot"):
    cluster.add_node(num_cpus=1, labels={"ray.io/node-group": kind})
print("address", cluster.address, flush=True)
sys.stdin.readline()
cluster.shutdown()
"""


@pytest.fixture(scope="module")
def cluster():
    """Starts a cluster in a process of its own, with a private folder that no other Ray looks into."""
    # Not below pytest's own folder: the names of Ray's sockets may have 107 letters in all.
    folder = tempfile.mkdtemp(prefix="r")
    environment = {
        **os.environ,
        "RAY_TMPDIR": folder,
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": "0123456789abcdef" * 4,
    }
    process = subprocess.Popen(
        [sys.executable, "-c", CLUSTER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
        start_new_session=True,
    )
    address = next(line.split()[1] for line in process.stdout if line.startswith("address"))
    yield SimpleNamespace(address=address, environment=environment)
    process.stdin.close()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(30)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def test_study_joins_a_running_cluster_and_uses_all_its_nodes(convfleet, cluster):
    convfleet.environment.update(cluster.environment)
    study = convfleet.write_study("joined", export={"top": 1, "formats": ["keras"]})
    output = convfleet.run("run", study, "--address", cluster.address)
    assert "2 trials at a time" in output
    trials = pq.read_table(convfleet.folder / "runs/joined/trials.parquet").to_pandas()
    assert (trials["state"] == "completed").all()
    assert set(trials["node_type"]) <= {"steady", "spot"}
    by_type = json.loads(convfleet.run("status", "runs/joined", "--json"))["cost"]["node_types"]
    assert {item["node_type"]: item["num_trials"] for item in by_type} == trials["node_type"].value_counts().to_dict()
    assert len(list((convfleet.folder / "runs/joined/exports").glob("1-*/model.keras"))) == 1


def test_cluster_that_refuses_the_token_is_a_clear_error(convfleet, cluster):
    convfleet.environment.update({**cluster.environment, "RAY_AUTH_TOKEN": "f" * 64, "RAY_NUM_REDIS_GET_RETRIES": "2"})
    output = convfleet.run("run", convfleet.write_study("refused"), "--address", cluster.address, code=1)
    assert cluster.address in output
    assert "token" in output


def test_request_that_no_node_can_meet_names_what_there_is(convfleet, cluster):
    convfleet.environment.update(cluster.environment)
    study = convfleet.write_study("too-large", resources={"cpus_per_trial": 2})
    output = convfleet.run("run", study, "--address", cluster.address, code=1)
    assert "cpus_per_trial 2" in output
    assert "1 CPUs" in output

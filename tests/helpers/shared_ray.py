"""A Ray of two CPUs for the studies of many tests. It lives until its standard input ends; run as a file.

Its workers are forks of a process that has imported TensorFlow, as in a Ray of the product's own: each test has new
ones, whose imports would take them more time than its trials.
"""

import os
import sys
from pathlib import Path

from job_launcher import JOB_SERVERS
from job_servers import job_servers


def main() -> None:
    """Says the address of the Ray that it starts, and ends it after standard input."""
    with job_servers() as path:
        from ray.cluster_utils import Cluster

        from orchestrator.cluster.ray_internals import spare_processes_off
        from orchestrator.forking.launcher import SETUP_WORKER
        from orchestrator.forking.ray_workers import setup_worker, started_by

        os.environ[JOB_SERVERS] = path
        os.environ[SETUP_WORKER] = setup_worker()
        with started_by(str(Path(__file__).with_name("job_launcher.py"))), spare_processes_off():
            cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "include_dashboard": False})
        print("address", cluster.address, flush=True)
        sys.stdin.readline()
        cluster.shutdown()


if __name__ == "__main__":
    main()

"""Nodes without a common folder: refused without a storage, and with one every export is where the driver names it."""

import subprocess
import sys
from shlex import quote

import pytest
import yaml

from trainables.files.manifests import damage_of

#: A Ray on three hosts of this machine, and a study on it.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

BUCKET, PORT = "fleet", 9000
#: The driver's alone: no node has them in its environment.
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "tester",
    "AWS_SECRET_ACCESS_KEY": "not-a-secret",
    "AWS_EC2_METADATA_DISABLED": "true",
}
STUDY = {
    "seed": 3,
    "data": {"source": "digits", "limit": 300, "augment": {"crop_padding": 1}},
    "space": {"family": "sequential", "params": {"num_blocks": 1, "filters": {"choice": [4, 8]}}},
    "search": {"algorithm": "random", "trials": 2},
    "schedule": {"algorithm": "none", "max_epochs": 3},
    "export": {"top": 1, "formats": ["keras", "saved_model"]},
    "references": False,
}
SERVER = f"""
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server
server = make_server("0.0.0.0", {PORT}, DomainDispatcherApplication(create_backend_app), threaded=True)
print("ready", flush=True)
server.serve_forever()
"""
MAKE_BUCKET = f"""
import boto3
boto3.client("s3", endpoint_url="http://127.0.0.1:{PORT}", region_name="us-east-1").create_bucket(Bucket={BUCKET!r})
"""
LOAD = """
import numpy as np
from convfleet import open_run
model = open_run("runs/apart").load_model(rank=1)
print("predicted", model.predict(np.zeros((2, 8, 8, 1), "float32"), verbose=0).shape)
"""


@pytest.fixture(scope="module")
def hosts(make_hosts):
    """Returns a cluster of a head and two nodes of one CPU, each with files of its own."""
    found = make_hosts("head", "node1", "node2", is_shared=False)
    found.ray_head()
    found.ray_worker("node1", "node2")
    return found


@pytest.fixture(scope="module")
def storage(hosts):
    """Returns the URI of a bucket that all hosts reach."""
    server = hosts.popen("head", f"exec {sys.executable} -c {quote(SERVER)}", stderr=subprocess.DEVNULL)
    assert server.stdout.readline() == "ready\n"
    hosts.run("head", f"{sys.executable} -c {quote(MAKE_BUCKET)}", environment=CREDENTIALS)
    yield f"s3://{BUCKET}/runs?endpoint_override={hosts.hosts['head'].ip}:{PORT}&scheme=http&region=us-east-1"
    server.kill()


def write_study(hosts, host, **changes):
    (hosts.hosts[host].folder / "home/apart.yaml").write_text(yaml.safe_dump({**STUDY, "name": "apart", **changes}))


def convfleet(hosts, host, command, *, code=0, **environment):
    said = hosts.run(host, f"{sys.executable} -m convfleet {command}", code=code, timeout=600, environment=environment)
    assert "Traceback" not in said
    return said


def test_nodes_without_the_run_folder_and_a_study_without_a_storage_are_refused_by_name(hosts):
    write_study(hosts, "head")
    said = convfleet(hosts, "head", "run apart.yaml --address auto", code=2)
    for name in ("node1", "node2"):
        assert f"{name} ({hosts.hosts[name].ip}) has no folder /home/fleet/runs/apart" in said
    assert "--runs /mnt/shared/runs" in said
    assert "--set storage.uri=s3://bucket/runs" in said
    assert not (hosts.hosts["head"].folder / "home/runs/apart").exists()


def run_of(hosts, host):
    return hosts.hosts[host].folder / "home/runs/apart"


def texts_with_the_secret(hosts):
    """Returns the files that hold the driver's secret: logs of Ray on any host, and runs."""
    places = [host.folder / place for host in hosts.hosts.values() for place in ("tmp/ray", "home/runs", "home/.cache")]
    files = [path for place in places for path in place.rglob("*") if path.is_file()]
    assert any(path.name == "runtime_env_agent.log" for path in files)
    return [path for path in files if b"not-a-secret" in path.read_bytes()]


def test_with_a_storage_alone_exports_come_to_the_driver_and_every_node_can_make_more(hosts, storage):
    write_study(hosts, "head", storage={"uri": storage})
    said = convfleet(hosts, "head", "run apart.yaml --address auto", **CREDENTIALS)
    assert "files: object storage; nodes do not share the run folder" in said
    run = run_of(hosts, "head")
    (export,) = run.glob("exports/*")
    assert f"export  runs/apart/exports/{export.name}" in said
    assert damage_of(export) == ""
    assert (export / "saved_model/saved_model.pb").is_file()
    assert (run / "augmented.png").read_bytes()[:4] == b"\x89PNG"
    assert "predicted (2, 10)" in hosts.run("head", f"{sys.executable} -c {quote(LOAD)}")
    # Whoever goes on elsewhere has credentials; the nodes still have none.
    uri = quote(storage.replace("/runs?", "/runs/apart?"))
    said = convfleet(hosts, "node1", f"export {uri} --top 2 --address auto", **CREDENTIALS)
    exports = sorted(run_of(hosts, "node1").glob("exports/*"))
    assert [path.name[0] for path in exports] == ["1", "2"]
    assert [damage_of(path) for path in exports] == ["", ""]
    assert [path.name in said for path in exports] == [True, True]
    # What the storage has is fetched, and named where it is.
    said = convfleet(hosts, "node2", f"resume {uri} --address auto", **CREDENTIALS)
    assert "is not on this machine" not in said
    assert [damage_of(path) for path in run_of(hosts, "node2").glob("exports/*")] == ["", ""]
    assert texts_with_the_secret(hosts) == []


def test_a_registry_in_a_bucket_is_served_by_nodes_without_credentials_of_their_own(hosts, storage):
    pytest.importorskip("fastapi")
    registry = quote(storage.replace("/runs?", "/registry?"))
    add = f"registry add runs/apart --name digits --alias production --registry {registry}"
    convfleet(hosts, "head", add, **CREDENTIALS)
    command = f"exec {sys.executable} -m convfleet serve {registry} --address auto --replicas 2"
    server = hosts.popen("head", command, environment=CREDENTIALS)
    try:
        said = next(line for line in server.stdout if line.startswith(("serving", "error")))
        assert "Ctrl-C ends it" in said
        ready = hosts.run("head", "curl -s http://127.0.0.1:8000/v2/models/digits/ready")
        assert ready == '{"name":"digits","ready":true,"version":"1"}'
    finally:
        hosts.run("head", "pkill -INT -f '[c]onvfleet serve'")
        assert server.wait(60) == 0
    assert texts_with_the_secret(hosts) == []

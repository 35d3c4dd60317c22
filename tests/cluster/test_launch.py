"""Studies launched as jobs: on a cluster started as the pages say, from a home folder that knows the token alone."""

import json
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
import yaml
from hosts import HOME, ROOT, SHARED, wait_until

pytestmark = pytest.mark.slow

SNIPPETS = ROOT / "docs" / "snippets" / "cluster"
#: As of a machine that has never seen Ray: no variable says that there is a token.
FRESH = "/tmp/home-of-a-newcomer"
BARE = {"HOME": FRESH, "RAY_AUTH_MODE": "", "RAY_AUTH_TOKEN_PATH": "", "RAY_USAGE_STATS_ENABLED": ""}
DASHBOARD, RUNS = "http://127.0.0.1:8265", f"{SHARED}/runs"
STUDY = {
    "name": "sent",
    "seed": 3,
    "data": {"source": "digits"},
    "space": {"family": "sequential", "params": {"filters": {"choice": [4, 8]}, "num_blocks": 1}},
    "search": {"algorithm": "random", "trials": 2},
    "schedule": {"algorithm": "none", "max_epochs": 150},
    "resources": {"max_concurrent": 1},
    "export": {"top": 1, "formats": ["keras"]},
    "callbacks": ["own:Quiet"],
    "references": False,
}
OWN = "import keras\n\n\nclass Quiet(keras.callbacks.Callback):\n    pass\n"


def commands(name):
    """Returns the commands of a snippet of the pages, as one for bash."""
    lines = (SNIPPETS / name).read_text(encoding="utf-8").splitlines()
    return " && ".join(line for line in lines if not line.startswith("#"))


@pytest.fixture(scope="module")
def cluster(make_hosts):
    """A head and a worker, started with the pages' commands, and a study in a home folder of its own."""
    hosts = make_hosts("head", "worker")
    nothing = {"RAY_AUTH_MODE": "", "RAY_AUTH_TOKEN_PATH": ""}
    hosts.run("head", commands("token.sh"), environment=nothing)
    token = hosts.hosts["head"].folder / "home/.ray/auth_token"
    assert token.stat().st_mode & 0o777 == 0o600
    hosts.run("head", commands("head.sh"), environment=nothing)
    folder = hosts.hosts["worker"].folder / "home/.ray"
    folder.mkdir(mode=0o700)
    shutil.copy2(token, folder)  # as copy-token.sh does, which needs a server of SSH
    hosts.run("worker", commands("worker.sh"), environment=nothing)
    hosts.run("head", f"mkdir -p -m 700 {FRESH}/.ray && cp -p ~/.ray/auth_token {FRESH}/.ray/")
    folder = hosts.hosts["head"].folder / FRESH[1:]
    (folder / "own.py").write_text(OWN)
    (folder / "sent.yaml").write_text(yaml.safe_dump(STUDY))
    hosts.token = token.read_text()
    return hosts


def launch(hosts, *words, study="sent.yaml"):
    command = f"convfleet launch {study} --on {DASHBOARD} --runs {RUNS} {' '.join(words)}"
    return hosts.popen("head", command, cwd=FRESH, environment=BARE)


def run(hosts, command, *, code=0):
    return hosts.run("head", command, cwd=FRESH, environment=BARE, code=code)


def finished(process, *, code=0):
    output, _ = process.communicate(timeout=300)
    assert process.returncode == code, output
    return output


def records(hosts, kind=None):
    path = hosts.shared / "runs/sent/journal.jsonl"
    lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
    found = [json.loads(line) for line in lines]
    return [record for record in found if kind in (None, record["type"])]


def program(pid):
    return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0].decode()


def test_a_launched_study_is_left_stopped_goes_on_and_is_done(cluster):
    process = launch(cluster)
    wait_until(lambda: len(records(cluster, "epoch_reported")) >= 4, seconds=240, what="reports")
    assert [pid for name in cluster.hosts for pid in cluster.pids(name, cluster.token.strip())] == []
    # Ctrl-C without a terminal leaves the job alone.
    (pid,) = [pid for pid in cluster.pids("head", "launch sent.yaml") if "python" in program(pid)]
    os.kill(pid, signal.SIGINT)
    assert "goes on without this command" in finished(process, code=130)
    job = json.loads(run(cluster, f"convfleet jobs list {DASHBOARD} --json"))[0]
    assert (job["status"], job["study"], job["run"]) == ("RUNNING", "sent", f"{RUNS}/sent")
    following = cluster.popen(
        "head", f"convfleet jobs logs {DASHBOARD} {job['job']} --follow", cwd=FRESH, environment=BARE
    )
    said = run(cluster, f"convfleet jobs stop {DASHBOARD} {job['job']}")
    assert "was stopped, and its study pauses then; launch it again to go on" in said
    assert "nothing is lost" in finished(following, code=130)
    assert records(cluster)[-1]["type"] == "study_paused"
    before = {(item["trial"], item["report"]["epoch"]) for item in records(cluster, "epoch_reported")}
    assert len(before) < 300

    output = finished(launch(cluster))
    assert f"{RUNS}/sent: goes on with the run of this study" in output
    assert f": done; its run on the nodes: {RUNS}/sent" in output
    rows = [(item["trial"], item["report"]["epoch"]) for item in records(cluster, "epoch_reported")]
    assert len(rows) == len(set(rows)) == 300
    assert before <= set(rows)
    (export,) = (cluster.shared / "runs/sent/exports").iterdir()
    assert (export / "model.keras").is_file()
    status = run(cluster, f"convfleet jobs status {DASHBOARD} {job['job']}")
    assert "stopped" in status
    assert "convfleet run sent.yaml --resume-if-there" in status


def test_another_study_of_the_name_ends_with_exit_code_two_through_the_job(cluster):
    folder = cluster.hosts["head"].folder / FRESH[1:]
    (folder / "other.yaml").write_text(yaml.safe_dump({**STUDY, "seed": 4}))
    output = finished(launch(cluster, study="other.yaml"), code=2)
    assert "is the run of another study" in output
    assert "ended with exit code 2" in output


def test_the_token_is_in_no_log_no_journal_and_no_file_that_others_may_read(cluster):
    folders = [host.folder / "tmp" for host in cluster.hosts.values()]
    command = ["grep", "-rlF", "--devices=skip", cluster.token.strip(), *folders, cluster.shared]
    found = subprocess.run(command, capture_output=True, text=True, check=False).stdout.split()
    assert found == [f"{folders[0].parent}{FRESH}/.ray/auth_token"]


def test_what_keeps_a_job_from_starting_is_said(cluster):
    environment = {**BARE, "HOME": "/tmp/nobody"}
    command = f"mkdir -p /tmp/nobody && convfleet launch quickstart --on {DASHBOARD} --runs {RUNS}"
    output = cluster.run("head", command, environment=environment, code=2, cwd=FRESH)
    assert "the cluster wants a token, and there is none, as there is no /tmp/nobody/.ray/auth_token" in output
    output = run(cluster, f"convfleet jobs status {DASHBOARD} no-such-job", code=2)
    assert "Job no-such-job does not exist" in output
    output = run(cluster, f"convfleet launch quickstart --on {DASHBOARD} --runs runs", code=2)
    assert "temporary folder of Ray's" in output
    assert HOME not in output


@pytest.mark.long
def test_a_study_that_ray_s_own_command_submits_is_done_and_goes_on_when_it_is_submitted_again(cluster):
    study = STUDY | {"name": "submitted", "schedule": {"algorithm": "none", "max_epochs": 3}}
    (cluster.hosts["head"].folder / f"{FRESH[1:]}/submitted.yaml").write_text(yaml.safe_dump(study))
    command = commands("submit.sh").replace("my-study.yaml", "submitted.yaml").replace("/mnt/shared/runs", RUNS)
    run(cluster, command)
    (export,) = (cluster.shared / "runs/submitted/exports").glob("1-*")
    assert (export / "model.keras").exists()
    assert "has finished: nothing is left to train" in run(cluster, command)

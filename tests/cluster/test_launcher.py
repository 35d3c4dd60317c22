"""Machines become a cluster by Ray's launcher, over SSH as the page's file says, and a study is sent to it."""

import json
import shutil
import sys

import pytest
import yaml
from hosts import HOME, ROOT, SHARED, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.long]

FILE = ROOT / "docs" / "snippets" / "cluster" / "on-premise.yaml"
SSHD = "/usr/sbin/sshd"
#: Of the file, what these machines cannot do, as they have no network: their Python has all that would be installed.
INSTALL = "~/venv/bin/python -m pip install --upgrade ~/convfleet'[cluster,gpu]'"
INSTALLED = "grep -q PYTHONPATH ~/.bashrc || echo 'export PYTHONPATH=~/convfleet' >> ~/.bashrc"
#: What the client has of Ray's settings: nothing but the token in its home folder.
BARE = {"RAY_AUTH_MODE": "", "RAY_AUTH_TOKEN_PATH": "", "RAY_USAGE_STATS_ENABLED": ""}


def written():
    """Returns the page's file, filled in for the hosts here."""
    text = FILE.read_text(encoding="utf-8")
    assert text.count(INSTALL) == 1
    content = yaml.safe_load(text.replace(INSTALL, INSTALLED))
    content["auth"]["ssh_user"] = "root"
    content["file_mounts"]["~/convfleet"] = str(ROOT)
    for key in ("setup_commands", "head_start_ray_commands", "worker_start_ray_commands"):
        content[key] = [
            command.replace("ray start", "ray start --object-store-memory=100000000", 1) for command in content[key]
        ]
    return content


@pytest.fixture(scope="module")
def machines(make_hosts):
    """A client, a head and two workers, which the client may enter by SSH."""
    if missing := [name for name in (SSHD, "ssh", "rsync") if shutil.which(name) is None]:
        pytest.skip(f"entering machines needs {', '.join(missing)}: packages openssh-server and rsync")
    hosts = make_hosts("client", "head", "worker1", "worker2")
    hosts.run("client", "ssh-keygen -q -t ed25519 -N '' -f ~/.ssh/id_ed25519")
    key = (hosts.hosts["client"].folder / "home/.ssh/id_ed25519.pub").read_text()
    for name in ("head", "worker1", "worker2"):
        home = hosts.hosts[name].folder / "home"
        (home / ".ssh").mkdir(mode=0o700)
        (home / ".ssh/authorized_keys").write_text(key)
        (home / "venv").symlink_to(sys.prefix)
        (home / ".bashrc").write_text(f"export CONVFLEET_CACHE={HOME}/cache RAY_TMPDIR=/tmp\n")
        serve = (
            f"mkdir -p /run/sshd /tmp/ssh && ssh-keygen -q -t ed25519 -N '' -f /tmp/ssh/key && {SSHD} -h /tmp/ssh/key"
        )
        hosts.run(name, f"{serve} -o PidFile=/tmp/ssh/pid -o StrictModes=no -o UsePAM=no -E /tmp/ssh/log")
    folder = hosts.hosts["client"].folder / "home"
    hosts.run("client", "ray get-auth-token --generate >/dev/null && chmod 600 ~/.ray/auth_token", environment=BARE)
    (folder / "on-premise.yaml").write_text(yaml.safe_dump(written()))
    study = {
        "name": "sent",
        "data": {"source": "digits"},
        "space": "cnn-small",
        "search": {"algorithm": "random", "trials": 4},
        "schedule": {"algorithm": "none", "max_epochs": 2},
        "resources": {"max_concurrent": 2},
        "export": {"top": 0},
        "references": False,
    }
    (folder / "sent.yaml").write_text(yaml.safe_dump(study))
    return hosts


def num_alive(hosts):
    """Returns how many nodes the cluster has."""
    (hosts.shared / "alive.py").write_text(
        "import ray\nray.init('auto', logging_level=50)\nprint(sum(node['Alive'] for node in ray.nodes()))\n"
    )
    said = hosts.run("head", f"python {SHARED}/alive.py 2>/dev/null", code=None).split()
    return int(said[-1]) if said else 0


def test_a_study_is_sent_to_machines_that_become_a_cluster(machines):
    command = f"convfleet launch sent.yaml --on on-premise.yaml --runs {SHARED}/runs"
    said = machines.run("client", command, environment=BARE, timeout=600)
    assert "starting it: ray up on-premise.yaml" in said
    assert f": done; its run on the nodes: {SHARED}/runs/sent" in said
    lines = (machines.shared / "runs/sent/journal.jsonl").read_text().splitlines()
    assert json.loads(lines[-1])["type"] == "study_finished"
    wait_until(lambda: num_alive(machines) == 3, seconds=240, what="both workers")
    # The cluster is up now, and its Ray is left as it is.
    before = machines.pids("head", "gcs_server")
    said = machines.run("client", command, environment=BARE)
    assert "starting it" not in said
    assert "has finished: nothing is left to train" in said
    assert machines.pids("head", "gcs_server") == before
    machines.run("client", "ray down -y on-premise.yaml", environment=BARE)
    assert machines.pids("head", "gcs_server") == []

"""cluster.yaml, and that of machines that are there, pass Ray's own offline validation and keep their promises."""

import copy
import shlex
import subprocess
from fnmatch import fnmatch
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
FILES = {"aws": ROOT / "cluster.yaml", "on premise": ROOT / "docs/snippets/cluster/on-premise.yaml"}
CLUSTERS = {name: yaml.safe_load(path.read_text(encoding="utf-8")) for name, path in FILES.items()}
PACKAGES = ("convfleet", "orchestrator", "trainables", "search_spaces")


@pytest.fixture(scope="module")
def cluster() -> dict:
    return CLUSTERS["aws"]


@pytest.fixture(params=CLUSTERS)
def either(request) -> dict:
    return CLUSTERS[request.param]


def validated(cluster: dict) -> dict:
    from ray.autoscaler._private.util import prepare_config, validate_config

    prepared = prepare_config(copy.deepcopy(cluster))
    validate_config(prepared)
    return prepared


def test_cluster_file_passes_rays_own_validation(either):
    prepared = validated(either)
    assert prepared["cluster_name"] == "convfleet"


@pytest.mark.parametrize(
    "break_it",
    [
        lambda cluster: cluster.update(max_wrokers=3),
        lambda cluster: cluster.update(head_node_type="nobody"),
        lambda cluster: cluster["available_node_types"]["gpu_worker"].update(min_worker=1),
        lambda cluster: cluster["available_node_types"]["gpu_worker"].update(min_workers=9, max_workers=9),
    ],
    ids=["unknown key", "unknown head type", "unknown node type key", "more workers than allowed"],
)
def test_rays_validation_sees_a_broken_cluster_file(cluster, break_it):
    broken = copy.deepcopy(cluster)
    break_it(broken)
    with pytest.raises(Exception):  # noqa: B017, PT011 - Ray raises four kinds here; that it does is the point
        validated(broken)


def test_head_has_no_room_for_trials_and_gpu_workers_autoscale_from_none(cluster):
    types = cluster["available_node_types"]
    assert types[cluster["head_node_type"]]["resources"] == {"CPU": 0, "GPU": 0}
    assert any("--num-cpus=0" in command for command in cluster["head_start_ray_commands"])
    assert types["gpu_worker"]["resources"]["GPU"] >= 1
    assert types["gpu_worker"]["min_workers"] == 0
    assert types["gpu_worker"]["max_workers"] > 0


def test_every_node_asks_for_the_token_and_the_dashboard_stays_on_loopback(either):
    for commands in (either["head_start_ray_commands"], either["worker_start_ray_commands"]):
        (start,) = [command for command in commands if "ray start" in command]
        assert "RAY_AUTH_MODE=token" in start
        assert "RAY_AUTH_TOKEN_PATH" in start
        assert "RAY_USAGE_STATS_ENABLED=0" in start
        assert "0.0.0.0" not in start
    (head,) = [command for command in either["head_start_ray_commands"] if "ray start" in command]
    assert "--dashboard-host=127.0.0.1" in head
    assert "--num-cpus=0" in head
    assert "~/.ray/auth_token" in either["file_mounts"]
    assert "chmod 600 ~/.ray/auth_token" in either["setup_commands"]


def test_bash_gives_pip_the_checkout_with_its_extras(either):
    """Quotes around the whole would keep the shell from expanding the home folder, and pip refuses that."""
    (install,) = [command for command in either["setup_commands"] if "pip install" in command]
    shown = subprocess.run(
        ["bash", "-c", f"printf '%s\\n' {install}"],
        env={"HOME": "/home/me"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert shown.stdout.splitlines()[-1] == "/home/me/convfleet[cluster,gpu]"
    assert shlex.split(install)[0] == "~/venv/bin/python"


def test_no_package_is_left_out_of_what_is_copied_to_nodes(either):
    folders = [path for name in PACKAGES for path in (ROOT / name, *(ROOT / name).rglob("*")) if path.is_dir()]
    folders = [path for path in folders if path.name != "__pycache__"]
    assert len(folders) > 50
    for pattern in either["rsync_exclude"]:
        if pattern.startswith("/"):
            assert not any(fnmatch(f"/{name}", pattern) for name in PACKAGES)
        else:
            left_out = [path for path in folders if fnmatch(path.name, pattern.rpartition("/")[2])]
            assert left_out == [], pattern


def test_workers_on_premise_are_all_there_from_the_start():
    content = CLUSTERS["on premise"]
    assert content["min_workers"] == content["max_workers"] == len(content["provider"]["worker_ips"])

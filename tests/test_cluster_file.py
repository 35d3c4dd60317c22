"""cluster.yaml passes Ray's own offline validation and keeps its promises."""

import copy
from pathlib import Path

import pytest
import yaml

CLUSTER_FILE = Path(__file__).parents[1] / "cluster.yaml"


@pytest.fixture(scope="module")
def cluster() -> dict:
    return yaml.safe_load(CLUSTER_FILE.read_text(encoding="utf-8"))


def validated(cluster: dict) -> dict:
    from ray.autoscaler._private.util import prepare_config, validate_config

    prepared = prepare_config(copy.deepcopy(cluster))
    validate_config(prepared)
    return prepared


def test_cluster_file_passes_rays_own_validation(cluster):
    prepared = validated(cluster)
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


def test_every_node_asks_for_the_token_and_the_dashboard_stays_on_loopback(cluster):
    for commands in (cluster["head_start_ray_commands"], cluster["worker_start_ray_commands"]):
        (start,) = [command for command in commands if "ray start" in command]
        assert "RAY_AUTH_MODE=token" in start
        assert "RAY_AUTH_TOKEN_PATH" in start
        assert "0.0.0.0" not in start
    (head,) = [command for command in cluster["head_start_ray_commands"] if "ray start" in command]
    assert "--dashboard-host=127.0.0.1" in head
    assert "~/.ray/auth_token" in cluster["file_mounts"]

"""Manifests for KubeRay: valid by its own schemas and rules, with the study's files, nothing on a pod's disk."""

import base64
import copy
import os
import stat
from pathlib import Path

import pytest
import ray
import yaml
from kuberay_schemas import VERSIONS, problems
from kubernetes_cases import CASES, rendered, shipped
from typer.testing import CliRunner

from orchestrator.cli.app import app
from orchestrator.cluster.jobs.shipment import shipment_of
from orchestrator.cluster.kubernetes.kubectl import as_yaml, hand_over
from orchestrator.cluster.kubernetes.manifests import kubernetes_name, manifests
from orchestrator.cluster.kubernetes.settings import parsed_settings
from orchestrator.errors import InputError, StudyFailedError

RENDERED = rendered()
OF_RAY = {name: case[-1] for name, case in RENDERED.items()}


def cluster_of(document):
    return document["spec"] if document["kind"] == "RayCluster" else document["spec"]["rayClusterSpec"]


def pods_of(document):
    cluster = cluster_of(document)
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    return [group["template"]["spec"] for group in groups]


def broken_rules(document):
    """Yields what KubeRay's operator checks beyond its schemas: ray-operator/controllers/ray/utils/validation.go."""
    spec, cluster = document["spec"], cluster_of(document)
    rules = spec.get("deletionStrategy", {}).get("deletionRules", [])
    if len(document["metadata"]["name"]) > 47:
        yield "a long name"
    if spec.get("suspend") and not spec.get("shutdownAfterJobFinishes"):
        yield "suspend without shutdownAfterJobFinishes"
    if rules and spec.get("shutdownAfterJobFinishes"):
        yield "deletionRules and shutdownAfterJobFinishes"
    if spec.get("ttlSecondsAfterFinished") and not spec.get("shutdownAfterJobFinishes"):
        yield "ttlSecondsAfterFinished without shutdownAfterJobFinishes"
    if any(("jobStatus" in rule["condition"]) == ("jobDeploymentStatus" in rule["condition"]) for rule in rules):
        yield "a condition with both states or none"
    if cluster["enableInTreeAutoscaling"] and any(rule["policy"] == "DeleteWorkers" for rule in rules):
        yield "DeleteWorkers with an autoscaler"
    if cluster["authOptions"]["mode"] == "token" and tuple(map(int, cluster["rayVersion"].split("."))) < (2, 52):
        yield "a token with an old Ray"
    if any(pod.get("restartPolicy", "Never") != "Never" for pod in pods_of(document)):
        yield "autoscaler v2 and a restartPolicy"
    if any(group["minReplicas"] > group["maxReplicas"] for group in cluster["workerGroupSpecs"]):
        yield "more workers than allowed"
    if spec.get("activeDeadlineSeconds", 1) <= 0:
        yield "no time"


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("case", CASES)
def test_manifests_pass_kuberays_own_schemas_and_rules(case, version):
    document = OF_RAY[case]
    assert list(problems(document, version=version)) == []
    assert list(broken_rules(document)) == []


@pytest.mark.parametrize(
    "break_it",
    [
        lambda job: job["spec"].update(backOffLimit=3),
        lambda job: job["spec"].update(backoffLimit="three"),
        lambda job: job["spec"]["rayClusterSpec"]["authOptions"].update(mode="password"),
        lambda job: job["spec"]["rayClusterSpec"].pop("headGroupSpec"),
        lambda job: pods_of(job)[1]["containers"][0].update(images="me/convfleet:1"),
        lambda job: pods_of(job)[0]["containers"][0]["ports"][0].update(containerPort="http"),
        lambda job: job["spec"]["deletionStrategy"]["deletionRules"][0]["condition"].update(jobStatus="DONE"),
        lambda job: pods_of(job)[0].update(terminationGracePeriodSeconds="soon"),
    ],
)
def test_schemas_see_what_is_wrong(break_it):
    job = copy.deepcopy(OF_RAY["plain"])
    break_it(job)
    assert all(list(problems(job, version=version)) for version in VERSIONS)


@pytest.mark.parametrize(
    "changes",
    [
        {"suspend": True},
        {"shutdownAfterJobFinishes": True},
        {"ttlSecondsAfterFinished": 9},
        {"deletionStrategy": {"deletionRules": [{"policy": "DeleteWorkers", "condition": {"jobStatus": "FAILED"}}]}},
    ],
)
def test_rules_see_what_is_wrong(changes):
    job = copy.deepcopy(OF_RAY["plain"])
    job["spec"].update(changes)
    assert len(list(broken_rules(job))) == 1


def test_every_pod_finds_the_shared_folder_the_study_and_a_cache():
    for pod in pods_of(OF_RAY["plain"]):
        (container,) = pod["containers"]
        mounted = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
        assert mounted == {"cache": "/cache", "shared": "/mnt/shared", "study": "/study"}
        assert {volume["name"] for volume in pod["volumes"]} == set(mounted)
        assert {"name": "CONVFLEET_CACHE", "value": "/cache"} in container["env"]
        assert {"name": "RAY_USAGE_STATS_ENABLED", "value": "0"} in container["env"]
        assert {"name": "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "value": "1"} in container["env"]


def test_head_runs_no_trials_and_a_retried_job_goes_on():
    job = OF_RAY["plain"]
    assert cluster_of(job)["headGroupSpec"]["rayStartParams"] == {"num-cpus": "0", "num-gpus": "0"}
    assert job["spec"]["entrypoint"] == (
        "convfleet run /study/study.yaml --resume-if-there --address auto --runs /mnt/shared/runs"
    )
    assert job["spec"]["backoffLimit"] == 3


def test_the_studys_files_are_in_a_config_map_as_they_are():
    config_map, job = RENDERED["plain"]
    (volume,) = [volume for volume in pods_of(job)[0]["volumes"] if volume["name"] == "study"]
    assert volume["configMap"]["name"] == config_map["metadata"]["name"] == "quickstart-study"
    found = {}
    for item in volume["configMap"]["items"]:
        text = config_map["data"].get(item["key"])
        found[item["path"]] = text.encode() if text else base64.b64decode(config_map["binaryData"][item["key"]])
    assert found == shipped().files


def test_spot_workers_tolerate_and_choose_nodes_that_may_be_taken():
    worker = pods_of(OF_RAY["spot"])[1]
    assert worker["nodeSelector"] == {"eks.amazonaws.com/capacityType": "SPOT"}
    assert "nvidia.com/gpu" in {item["key"] for item in worker["tolerations"]}
    assert "nodeSelector" not in pods_of(OF_RAY["spot"])[0]
    assert OF_RAY["spot"]["metadata"]["namespace"] == "team"


def test_kueue_gets_a_suspended_job_with_all_its_workers_at_once():
    job = OF_RAY["queued by Kueue"]
    (group,) = cluster_of(job)["workerGroupSpecs"]
    assert job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "gpus"
    assert (job["spec"]["suspend"], cluster_of(job)["enableInTreeAutoscaling"]) == (True, False)
    assert (group["replicas"], group["minReplicas"], group["maxReplicas"]) == (4, 4, 4)
    assert job["spec"]["activeDeadlineSeconds"] == 5400


def test_runs_on_a_pods_own_disk_are_refused_unless_the_study_is_kept_elsewhere():
    plain = shipment_of("quickstart", overrides=())
    for texts, runs in (
        (["image=x"], "/mnt/shared/runs"),
        (["image=x", "claim=c"], "/home/ray/runs"),
    ):
        with pytest.raises(InputError, match=r"would lie on a pod's own disk.*--with claim=NAME"):
            manifests(plain, settings=parsed_settings(texts), runs=runs)
    assert manifests(shipped(), settings=parsed_settings(["image=x"]), runs="/cache/runs")


def test_study_that_no_config_map_takes_is_refused():
    shipment = shipped()
    shipment.files["w.weights.h5"] = bytes(1_000_000)
    with pytest.raises(InputError, match=r"1,000,\d+ bytes, and a ConfigMap takes 900,000"):
        manifests(shipment, settings=parsed_settings(["image=x", "claim=c"]), runs="/mnt/shared/runs")


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        ([], "--with image=...: kubernetes needs a container image"),
        (["image=x", "wokers=3"], "did you mean 'workers'?"),
        (["image=x", "workers=0"], "expected a number of at least 1, got '0'"),
        (["image=x", "workers=many"], "expected a number of at least 1, got 'many'"),
        (["image=x", "memory=much"], "expected a quantity such as 16Gi"),
        (["image=x", "spot=cheap"], "expected gke, eks, aks, karpenter, got 'cheap'"),
        (["image=x", "lasting=perhaps"], "expected true or false"),
        (["image=x", "claim=My Claim"], "expected a name of Kubernetes"),
        (["image=x", "queue=q", "lasting=true"], "is for jobs"),
        (["image=a b"], "expected the name of an image"),
    ],
)
def test_wrong_settings_are_said_with_what_is_expected(texts, said):
    with pytest.raises(InputError) as caught:
        parsed_settings(texts)
    assert said in str(caught.value)


def test_names_are_such_as_kubernetes_takes():
    assert kubernetes_name("a" * 99) == "a" * 47
    assert kubernetes_name("Flowers_2") == "flowers-2"


def test_printed_manifests_are_the_manifests():
    for case in RENDERED.values():
        text = as_yaml(case)
        assert list(yaml.safe_load_all(text)) == case
        assert "&id" not in text


def test_the_manifests_on_the_pages_are_what_the_command_in_their_head_prints():
    text = (Path(__file__).parents[4] / "docs/snippets/cluster/quickstart-job.yaml").read_text(encoding="utf-8")
    head = [line.lstrip("# ").rstrip("\\ ") for line in text.splitlines() if line.startswith("#")]
    shown = "".join(line for line in text.splitlines(keepends=True) if not line.startswith("#"))
    printed = CliRunner().invoke(app, " ".join(head).split()[1:])
    assert printed.exit_code == 0, printed.output
    assert printed.stdout.replace(f"rayVersion: {ray.__version__}", "rayVersion: 2.60.0") == shown


@pytest.fixture
def kubectl(tmp_path, monkeypatch):
    """A kubectl that notes what it is asked, and refuses a job that exists."""
    program = tmp_path / "bin" / "kubectl"
    program.parent.mkdir()
    program.write_text(
        f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\ncat >> {tmp_path}/got\n'
        f'if [ "$1" = create ] && [ -e {tmp_path}/exists ]; then\n'
        '  echo "Error from server (AlreadyExists): rayjobs.ray.io quickstart already exists" >&2; exit 1\nfi\n'
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    return tmp_path


def test_kubectl_gets_the_files_and_then_the_job(kubectl):
    assert hand_over(RENDERED["plain"]) == "rayjob/quickstart"
    assert (kubectl / "asked").read_text().splitlines() == ["apply -f -", "create -f -"]
    assert [item["kind"] for item in yaml.safe_load_all((kubectl / "got").read_text().replace("apiV", "---\napiV"))]


def test_a_job_that_is_there_is_left_alone_and_said_with_the_way_on(kubectl):
    (kubectl / "exists").touch()
    with pytest.raises(StudyFailedError, match="kubectl delete rayjob/quickstart` and launch again to go on"):
        hand_over(RENDERED["plain"])


def test_without_kubectl_the_way_by_hand_is_said(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="kubectl is not on the PATH"):
        hand_over(RENDERED["plain"])

"""The manifests of a study for KubeRay 1.6 or newer: its files, and a job with its cluster, or a cluster alone."""

import base64
import re
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import PurePosixPath
from typing import Any

from orchestrator.cluster.jobs.job import STOP_SECONDS
from orchestrator.cluster.jobs.shipment import Shipment
from orchestrator.cluster.kubernetes.settings import SPOT, KubernetesSettings
from orchestrator.errors import InputError

SHARED, STUDY, CACHE = "/mnt/shared", "/study", "/cache"
Manifest = dict[str, Any]
#: KubeRay's longest name of a RayJob, which names its cluster and pods.
_LONGEST_NAME = 47
#: What etcd takes of a ConfigMap, with room for the rest of it.
_LARGEST_STUDY_BYTES = 900_000
_HEAD = {"cpu": "2", "memory": "8Gi"}
_IDLE_SECONDS = 300
_SUCCEEDED_SECONDS = 600
#: A driver that is asked to end pauses its study first.
_HEAD_GRACE_SECONDS = STOP_SECONDS + 30


def manifests(shipment: Shipment, *, settings: KubernetesSettings, runs: str) -> list[Manifest]:
    """Returns the documents that run a study on Kubernetes, in the order in which they are applied.

    Args:
        shipment: The study and its files.
        settings: The cluster.
        runs: The folder of run folders, on the pods.

    Raises:
        InputError: If the study's files are too large, or runs would lie on a pod's own disk.
    """
    name = kubernetes_name(shipment.spec.name)
    if settings.lasting:
        return [_document("RayCluster", name, settings, spec=_cluster(settings, files=None, name=name))]
    _demand_kept(shipment, settings=settings, runs=runs)
    found = [_job(shipment, name, settings=settings, runs=runs)]
    return [_config_map(shipment, name, settings), *found] if shipment.files else found


def kubernetes_name(study: str) -> str:
    """Returns a study's name as Kubernetes takes one.

    >>> kubernetes_name("Flowers_2.small"), kubernetes_name("4th")
    ('flowers-2-small', 's-4th')
    """
    name = re.sub(r"[^a-z0-9]+", "-", study.lower()).strip("-")
    name = name if name[:1].isalpha() else f"s-{name}"
    return name[:_LONGEST_NAME].rstrip("-")


def _demand_kept(shipment: Shipment, *, settings: KubernetesSettings, runs: str) -> None:
    is_on_claim = bool(settings.claim) and PurePosixPath(runs).is_relative_to(SHARED)
    if not is_on_claim and shipment.spec.storage.uri is None:
        raise InputError(
            f"--runs {runs}: would lie on a pod's own disk and be gone with it; name a ReadWriteMany claim with --with "
            f"claim=NAME, which is mounted at {SHARED}, and keep runs below it"
        )
    if (size := sum(map(len, shipment.files.values()))) > _LARGEST_STUDY_BYTES:
        raise InputError(
            f"{shipment.study}: the study and its code have {size:,} bytes, and a ConfigMap takes "
            f"{_LARGEST_STUDY_BYTES:,}; put large files, such as weights, into the image or onto the claim, and name "
            "them by their absolute path"
        )


def _document(kind: str, name: str, settings: KubernetesSettings, *, spec: Manifest) -> Manifest:
    labels = {"app.kubernetes.io/name": "convfleet"}
    if settings.queue:
        labels["kueue.x-k8s.io/queue-name"] = settings.queue
    return {"apiVersion": "ray.io/v1", "kind": kind, "metadata": _metadata(name, settings, labels=labels), "spec": spec}


def _metadata(name: str, settings: KubernetesSettings, *, labels: Mapping[str, str]) -> Manifest:
    namespace = {"namespace": settings.namespace} if settings.namespace else {}
    return {"name": name, **namespace, "labels": dict(labels)}


def _config_map(shipment: Shipment, name: str, settings: KubernetesSettings) -> Manifest:
    texts, others = {}, {}
    for key, path in _keys(shipment).items():
        content = shipment.files[path]
        try:
            texts[key] = content.decode()
        except UnicodeDecodeError:
            others[key] = base64.b64encode(content).decode()
    labels = {"app.kubernetes.io/name": "convfleet"}
    found = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": _metadata(f"{name}-study", settings, labels=labels)}
    return {**found, "data": texts, **({"binaryData": others} if others else {})}


def _keys(shipment: Shipment) -> dict[str, str]:
    """Returns the path of each file by its key: a key has no folders."""
    return {f"{place:03}-{PurePosixPath(path).name}": path for place, path in enumerate(shipment.files)}


def _job(shipment: Shipment, name: str, *, settings: KubernetesSettings, runs: str) -> Manifest:
    files = [{"key": key, "path": path} for key, path in _keys(shipment).items()] if shipment.files else None
    command = shipment.command(runs=runs, folder=STUDY if shipment.files else "")
    spec: Manifest = {
        "entrypoint": command,
        "submissionMode": "K8sJobMode",
        "backoffLimit": settings.retries,
        "runtimeEnvYAML": f'env_vars: {{RAY_JOB_STOP_WAIT_TIME_S: "{STOP_SECONDS}"}}\n',
        **_ending(settings),
        "rayClusterSpec": _cluster(settings, files=files, name=name),
    }
    if settings.deadline_hours:
        spec["activeDeadlineSeconds"] = max(1, round(settings.deadline_hours * 3600))
    return _document("RayJob", name, settings, spec=spec)


def _ending(settings: KubernetesSettings) -> Manifest:
    """Returns what becomes of the cluster; KubeRay takes no deletion rules where Kueue may suspend a job."""
    kept = 60 * settings.keep_minutes
    if settings.queue:
        return {"suspend": True, "shutdownAfterJobFinishes": True, "ttlSecondsAfterFinished": kept}
    seconds = {"SUCCEEDED": min(kept, _SUCCEEDED_SECONDS), "FAILED": kept}
    rules = [
        {"policy": "DeleteCluster", "condition": {"jobStatus": status, "ttlSeconds": count}}
        for status, count in seconds.items()
    ]
    # A job that Ray was never given, or that its deadline ended.
    rules.append({"policy": "DeleteCluster", "condition": {"jobDeploymentStatus": "Failed", "ttlSeconds": kept}})
    return {"deletionStrategy": {"deletionRules": rules}}


def _cluster(settings: KubernetesSettings, *, files: list[Manifest] | None, name: str) -> Manifest:
    is_growing = not settings.queue
    scaling: Manifest = {"enableInTreeAutoscaling": is_growing}
    if is_growing:
        scaling["autoscalerOptions"] = {"version": "v2", "idleTimeoutSeconds": _IDLE_SECONDS}
    return {
        "rayVersion": version("ray"),
        "authOptions": {"mode": "token"},
        **scaling,
        "headGroupSpec": {
            # No trials on the head, which runs the driver.
            "rayStartParams": {"num-cpus": "0", "num-gpus": "0"},
            "template": {"spec": _pod("ray-head", settings, files=files, name=name, resources=_HEAD, is_head=True)},
        },
        "workerGroupSpecs": [
            {
                "groupName": "workers",
                "replicas": 0 if is_growing else settings.workers,
                "minReplicas": 0 if is_growing else settings.workers,
                "maxReplicas": settings.workers,
                "rayStartParams": {},
                "template": {"spec": _worker(settings, files=files, name=name)},
            }
        ],
    }


def _worker(settings: KubernetesSettings, *, files: list[Manifest] | None, name: str) -> Manifest:
    resources: dict[str, str] = {"cpu": str(settings.cpus), "memory": settings.memory}
    tolerations: list[Manifest] = []
    if settings.gpus:
        resources["nvidia.com/gpu"] = str(settings.gpus)
        tolerations.append({"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"})
    pod = _pod("ray-worker", settings, files=files, name=name, resources=resources, is_head=False)
    if settings.spot:
        label, value = SPOT[settings.spot]
        pod["nodeSelector"] = {label: value}
        tolerations.append({"key": label, "operator": "Equal", "value": value, "effect": "NoSchedule"})
    return {**pod, **({"tolerations": tolerations} if tolerations else {})}


def _pod(  # noqa: PLR0913 - what head and workers differ in, and what they have in common
    container: str,
    settings: KubernetesSettings,
    *,
    files: list[Manifest] | None,
    name: str,
    resources: Mapping[str, str],
    is_head: bool,
) -> Manifest:
    volumes: list[Manifest] = [{"name": "cache", "emptyDir": {"sizeLimit": settings.disk}}]
    mounts: list[Manifest] = [{"name": "cache", "mountPath": CACHE}]
    if settings.claim:
        volumes.append({"name": "shared", "persistentVolumeClaim": {"claimName": settings.claim}})
        mounts.append({"name": "shared", "mountPath": SHARED})
    if files is not None:
        volumes.append({"name": "study", "configMap": {"name": f"{name}-study", "items": files}})
        mounts.append({"name": "study", "mountPath": STUDY, "readOnly": True})
    variables = {
        "CONVFLEET_CACHE": CACHE,
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "1",
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    found: Manifest = {
        "name": container,
        "image": settings.image,
        "resources": {"limits": dict(resources), "requests": dict(resources)},
        "env": [{"name": key, "value": value} for key, value in variables.items()],
        "volumeMounts": mounts,
    }
    if settings.secret:
        found["envFrom"] = [{"secretRef": {"name": settings.secret}}]
    if is_head:
        ports = {"gcs-server": 6379, "dashboard": 8265, "client": 10001}
        found["ports"] = [{"name": key, "containerPort": port} for key, port in ports.items()]
    pod: Manifest = {"containers": [found], "volumes": volumes}
    if is_head:
        pod["terminationGracePeriodSeconds"] = _HEAD_GRACE_SECONDS
    if settings.service_account:
        pod["serviceAccountName"] = settings.service_account
    return pod

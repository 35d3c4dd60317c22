"""Manifests of every kind that `convfleet launch --on kubernetes` renders, by what is asked for."""

from pathlib import Path
from typing import Any

from orchestrator.cluster.jobs.shipment import Shipment, shipment_of
from orchestrator.cluster.kubernetes.manifests import manifests
from orchestrator.cluster.kubernetes.settings import parsed_settings

PLAIN = ("image=me/convfleet:1", "claim=runs")
CASES = {
    "plain": PLAIN,
    "without GPUs": (*PLAIN, "gpus=0", "memory=4Gi"),
    "spot": (*PLAIN, "spot=eks", "namespace=team"),
    "queued by Kueue": (*PLAIN, "queue=gpus", "deadline_hours=1.5"),
    "in cloud storage": ("image=me/convfleet:1", "secret=s3", "service_account=trainer"),
    "a cluster that stays": (*PLAIN, "lasting=true"),
}


def shipped() -> Shipment:
    """Returns a study with code and a file that is no text."""
    spec = shipment_of("quickstart", overrides=["storage.uri=s3://bucket/runs"]).spec
    files = {"study.yaml": b"name: quickstart\n", "nets/small.py": b"x = 1\n", "w.weights.h5": b"\x89HDF\xff"}
    return Shipment(spec=spec, study="study.yaml", files=files)


def rendered() -> dict[str, list[dict[str, Any]]]:
    """Returns the manifests of each case."""
    return {
        name: manifests(shipped(), settings=parsed_settings(texts), runs=str(Path("/mnt/shared/runs")))
        for name, texts in CASES.items()
    }

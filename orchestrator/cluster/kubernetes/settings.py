"""What `--with KEY=VALUE` says of a cluster on Kubernetes."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from orchestrator.errors import InputError
from search_spaces import nearest

#: Where cheap nodes that may be taken at any time are found, by who offers them: label and value.
SPOT: Mapping[str, tuple[str, str]] = {
    "gke": ("cloud.google.com/gke-spot", "true"),
    "eks": ("eks.amazonaws.com/capacityType", "SPOT"),
    "aks": ("kubernetes.azure.com/scalesetpriority", "spot"),
    "karpenter": ("karpenter.sh/capacity-type", "spot"),
}
_QUANTITY = re.compile(r"\d+(\.\d+)?(Ki|Mi|Gi|Ti|k|M|G|T)?")
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")
_LONGEST_NAME = 253
_YES, _NO = ("true", "yes"), ("false", "no")


@dataclass(frozen=True, slots=True, kw_only=True)
class KubernetesSettings:
    """The cluster of a study on Kubernetes.

    Attributes:
        image: The container image, which has convfleet, ray[default] and TensorFlow.
        namespace: Of all that is made; empty: kubectl's.
        claim: A ReadWriteMany volume claim, mounted at /mnt/shared on every pod; empty: none.
        secret: A secret whose keys become variables on every pod, such as AWS_ACCESS_KEY_ID; empty: none.
        service_account: What pods run as, where that has the rights for a storage; empty: the namespace's default.
        workers: How many workers there are at most.
        cpus: Of a worker.
        gpus: Of a worker.
        memory: Of a worker.
        disk: For the cache of decoded images, on each node.
        spot: gke, eks, aks or karpenter: workers are nodes that may be taken at any time; empty: any nodes.
        queue: A local queue of Kueue that admits the job, which then has all its workers at once; empty: none.
        retries: How often a job that failed begins again, in a new cluster; it goes on with its run.
        deadline_hours: After which the job is ended; 0: none.
        keep_minutes: How long the cluster of a job that has failed stays to be looked at.
        lasting: Whether a cluster is made that stays, without a job.
    """

    image: str = ""
    namespace: str = ""
    claim: str = ""
    secret: str = ""
    service_account: str = ""
    workers: int = 4
    cpus: int = 4
    gpus: int = 1
    memory: str = "16Gi"
    disk: str = "50Gi"
    spot: str = ""
    queue: str = ""
    retries: int = 3
    deadline_hours: float = 0.0
    keep_minutes: int = 60
    lasting: bool = False


_DEFAULTS = KubernetesSettings()
_KINDS: Mapping[str, type] = {item.name: type(getattr(_DEFAULTS, item.name)) for item in fields(KubernetesSettings)}
_LEAST = {"workers": 1, "cpus": 1, "gpus": 0, "retries": 0, "deadline_hours": 0, "keep_minutes": 0}
_NAMES = ("namespace", "claim", "secret", "service_account", "queue")


def parsed_settings(texts: Sequence[str]) -> KubernetesSettings:
    """Returns the settings that `key=value` texts say.

    >>> parsed_settings(["image=me/convfleet:1", "claim=runs", "workers=8"]).workers
    8

    Raises:
        InputError: With all mistakes, one a line.
    """
    found: dict[str, Any] = {}
    problems = []
    for text in texts:
        key, sign, raw = text.partition("=")
        if not sign or key not in _KINDS:
            known = ", ".join(_KINDS)
            hint = nearest(key, list(_KINDS))
            problems.append(f"--with {text}: expected key=value with a key of {known}{hint}")
            continue
        value, problem = _value(key, raw.strip())
        if problem:
            problems.append(f"--with {text}: {problem}")
        found[key] = value
    if not found.get("image"):
        problems.append(
            "--with image=...: kubernetes needs a container image with convfleet, such as image=me/convfleet:1"
        )
    if found.get("queue") and found.get("lasting"):
        problems.append("--with queue=...: is for jobs, got lasting=true beside it; remove one of them")
    if problems:
        raise InputError("\n".join(problems))
    return replace(_DEFAULTS, **found)


def _value(key: str, raw: str) -> tuple[Any, str]:
    """Returns the value of a text, and what is wrong with it."""
    kind = _KINDS[key]
    if kind is bool:
        is_one = raw.lower() in (*_YES, *_NO)
        return raw.lower() in _YES, "" if is_one else f"expected true or false, got {raw!r}"
    if kind in (int, float):
        try:
            number = kind(raw)
        except ValueError:
            number = None
        least = _LEAST[key]
        if number is None or not least <= number < float("inf"):
            return None, f"expected a number of at least {least}, got {raw!r}"
        return number, ""
    return raw, _text_problem(key, raw)


def _text_problem(key: str, raw: str) -> str:
    if key in ("memory", "disk") and not _QUANTITY.fullmatch(raw):
        return f"expected a quantity such as 16Gi, got {raw!r}"
    if key == "spot" and raw not in SPOT:
        return f"expected {', '.join(SPOT)}, got {raw!r}; for others, edit the manifests that --dry-run prints"
    if key == "image" and (not raw or any(letter.isspace() for letter in raw)):
        return f"expected the name of an image, got {raw!r}"
    if key in _NAMES and (len(raw) > _LONGEST_NAME or not _NAME.fullmatch(raw)):
        return f"expected a name of Kubernetes (lower-case letters, digits, -), got {raw!r}"
    return ""

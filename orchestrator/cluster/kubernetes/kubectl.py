"""Hands manifests to kubectl, which knows the cluster and who the user is there."""

import shutil
import subprocess
from collections.abc import Sequence

import yaml

from orchestrator.cluster.kubernetes.manifests import Manifest
from orchestrator.errors import InputError, StudyFailedError

_SECONDS = 120


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines as they are, and nothing as a reference to something above."""

    def ignore_aliases(self, data: object) -> bool:
        return True


_Dumper.add_representer(
    str,
    lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None),
)


def as_yaml(documents: Sequence[Manifest]) -> str:
    """Returns manifests as one text of YAML.

    Args:
        documents: The manifests, in the order in which they are applied.
    """
    return str(yaml.dump_all(documents, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120))


def hand_over(documents: Sequence[Manifest]) -> str:
    """Makes what manifests describe, and returns the name of the last one as kubectl takes it.

    A job that is there is left as it is: it may be running.

    Args:
        documents: The manifests, in the order in which they are applied.

    Raises:
        InputError: If there is no kubectl.
        StudyFailedError: If it refuses something.
    """
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        raise InputError(
            "--on kubernetes: kubectl is not on the PATH; install it, or print the manifests with --dry-run and apply "
            "them where it is"
        )
    for document in documents:
        name = f"{document['kind'].lower()}/{document['metadata']['name']}"
        # `apply` would leave a job that has ended as it is, and say that it is unchanged.
        verb = "create" if document["kind"] == "RayJob" else "apply"
        try:
            done = subprocess.run(
                [kubectl, verb, "-f", "-"],
                input=as_yaml([document]),
                capture_output=True,
                text=True,
                timeout=_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as exc:
            raise StudyFailedError(f"kubectl {verb} of {name}: {exc}; check `kubectl get nodes`") from exc
        if done.returncode:
            said = " ".join((done.stderr or done.stdout).split())
            fix = "check that KubeRay 1.6 or newer is installed, and your rights"
            if "AlreadyExists" in said:
                fix = f"see `kubectl get {name}`; once it has ended, `kubectl delete {name}` and launch again to go on"
            raise StudyFailedError(f"kubectl {verb} of {name}: {said}; {fix}")
    return name

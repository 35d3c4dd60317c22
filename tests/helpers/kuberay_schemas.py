"""KubeRay's own schemas, as far as the manifests here reach: what tests check them against without a network.

    git clone --branch v1.7.0 https://github.com/ray-project/kuberay
    python tests/helpers/kuberay_schemas.py kuberay v1.7.0

writes tests/helpers/kuberay/VERSION.json anew, after a change of what the manifests have.
"""

import json
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).with_name("kuberay")
CRDS = {
    "RayCluster": "helm-chart/kuberay-operator/crds/ray.io_rayclusters.yaml",
    "RayJob": "helm-chart/kuberay-operator/crds/ray.io_rayjobs.yaml",
}
VERSIONS = ("v1.6.0", "v1.7.0")
_KEPT_OF_KUBERNETES = ("x-kubernetes-int-or-string", "x-kubernetes-preserve-unknown-fields")


def reached(schema: dict[str, Any], values: list[Any]) -> dict[str, Any]:
    """Returns the part of a schema that some values reach, without its prose."""
    found = {key: part for key, part in schema.items() if is_kept(key)}
    if "properties" in schema:
        maps = [value for value in values if isinstance(value, dict)]
        names = dict.fromkeys(name for value in maps for name in value)
        found["properties"] = {
            name: reached(schema["properties"][name], [value[name] for value in maps if name in value])
            for name in names
            if name in schema["properties"]
        }
        found["required"] = [name for name in schema.get("required", ()) if name in schema["properties"]]
    if isinstance(schema.get("items"), dict):
        found["items"] = reached(schema["items"], [item for value in values for item in value])
    return found


def is_kept(key: str) -> bool:
    if key.startswith("x-"):
        return key in _KEPT_OF_KUBERNETES
    return key not in ("description", "default", "format", "properties", "items", "required")


def strict(schema: Any) -> Any:
    """Returns a schema that refuses fields it does not have, as an API server with strict validation does."""
    if isinstance(schema, list):
        return [strict(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: strict(part) for key, part in schema.items() if not key.startswith("x-")}
    if "properties" in found:
        found["properties"] = {name: strict(part) for name, part in schema["properties"].items()}
        if not schema.get("x-kubernetes-preserve-unknown-fields") and "additionalProperties" not in found:
            found["additionalProperties"] = False
    if schema.get("x-kubernetes-int-or-string"):
        found.pop("type", None)
    return found


def problems(document: dict[str, Any], *, version: str) -> Iterator[str]:
    """Yields what KubeRay's schema has against a manifest."""
    from jsonschema import Draft7Validator

    content = json.loads((FOLDER / f"{version}.json").read_text(encoding="utf-8"))
    schema = strict(content["schemas"][document["kind"]])
    for error in Draft7Validator(schema).iter_errors(document):
        yield f"{'.'.join(map(str, error.absolute_path))}: {error.message}"


def write(checkout: str, version: str, documents: Iterable[dict[str, Any]]) -> None:
    """Writes the schemas of a version, as far as some manifests reach."""
    by_kind: dict[str, list[Any]] = {kind: [] for kind in CRDS}
    for document in documents:
        by_kind.setdefault(document["kind"], []).append(document)
    schemas = {}
    for kind, path in CRDS.items():
        command = ["git", "-C", checkout, "show", f"{version}:{path}"]
        text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        (served,) = (item for item in yaml.safe_load(text)["spec"]["versions"] if item["name"] == "v1")
        schema = reached(served["schema"]["openAPIV3Schema"], by_kind[kind])
        # The API server's own part, which a resource's schema leaves out.
        schema["properties"]["metadata"] = {"type": "object"}
        schemas[kind] = schema
    content = {
        "source": f"https://github.com/ray-project/kuberay, {version}, {', '.join(CRDS.values())}",
        "licence": "Apache-2.0, The KubeRay Authors",
        "changed": "only what convfleet's manifests reach, without descriptions and defaults",
        "made_by": "tests/helpers/kuberay_schemas.py",
        "schemas": schemas,
    }
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{version}.json").write_text(json.dumps(content, indent=1, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    from kubernetes_cases import rendered

    write(sys.argv[1], sys.argv[2], [document for case in rendered().values() for document in case])

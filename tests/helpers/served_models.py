"""Servers in this process over made-up registries: a version predicts its own number, so that answers can be told."""

import io
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from made_exports import write_export
from PIL import Image

from orchestrator.errors import RegistryError
from orchestrator.registry.entries import ModelVersion
from orchestrator.registry.loading import LoadedModel
from orchestrator.registry.registry import Registry
from orchestrator.serving import models
from orchestrator.serving.settings import ServingSettings

IMAGE = np.arange(64, dtype=np.float32).reshape(1, 8, 8, 1)
HOST = "http://localhost"


@dataclass
class FakeRuntime:
    """Loads made-up versions: outputs are (version, mean pixel) for each image.

    Attributes:
        begun: What is or was loaded, in order.
        loads: What was loaded, in order.
        broken: Versions that cannot be loaded.
        gate: While it is not set, loading waits.
        calls: The number of images of each call of a model.
        outputs: The manifest's outputs.
        predict: Returns what a version predicts for images by input name.
    """

    begun: list[tuple[str, int, str]] = field(default_factory=list)
    loads: list[tuple[str, int, str]] = field(default_factory=list)
    broken: set[int] = field(default_factory=set)
    gate: threading.Event = field(default_factory=threading.Event)
    calls: list[int] = field(default_factory=list)
    outputs: list[Any] = field(default_factory=lambda: [{"name": "output_0"}])
    predict: Callable[[ModelVersion, Any], Any] = field(default_factory=lambda: numbered)

    def load(self, folder: Any, version: ModelVersion, *, form: str) -> LoadedModel:
        self.begun.append((version.name, version.version, form))
        assert self.gate.wait(60)
        self.loads.append((version.name, version.version, form))
        if version.version in self.broken:
            raise RegistryError(f"{version.name} version {version.version}: is broken")

        def predict(images: Any) -> Any:
            self.calls.append(len(next(iter(images.values()))))
            return self.predict(version, images)

        manifest = {"outputs": self.outputs}
        return LoadedModel(version=version, manifest=manifest, model=None, _predict=predict)


def numbered(version: ModelVersion, images: Any) -> np.ndarray:
    """Returns the version's number and the mean pixel of each image of the first input."""
    pixels = next(iter(images.values()))
    return np.stack([np.full(len(pixels), version.version), pixels.mean(axis=(1, 2, 3))], axis=1)


@contextmanager
def fake_runtime() -> Iterator[FakeRuntime]:
    """Puts a fake runtime in the place of the registry's own."""
    fake, before = FakeRuntime(), models.load_version
    fake.gate.set()
    models.load_version = fake.load  # type: ignore[assignment]
    try:
        yield fake
    finally:
        fake.gate.set()
        models.load_version = before


def make_registry_of(
    folder: Path, *, versions: int = 2, megabytes: int = 0, name: str = "digits", uri: str = ""
) -> Registry:
    """Returns a registry with a model of some versions, of which the first is in production.

    Args:
        folder: Has the exports, and the registry unless it has a URI.
        versions: How many there are.
        megabytes: Of each.
        name: The model's.
        uri: Where the registry lies instead.
    """
    registry = Registry(uri or folder / "registry")
    for number in range(1, versions + 1):
        content = number.to_bytes(4, "big") + bytes(megabytes * 1_000_000)
        export = write_export(folder / f"{name}-{number}", files={"model.keras": content})
        registry.add(export, name=name, alias="production" if number == 1 else None)
    return registry


def settings_of(registry: Registry, /, **changes: Any) -> ServingSettings:
    return ServingSettings(**{"registry": str(registry.path), "poll_seconds": 0.02, **changes})


def tensor(images: np.ndarray = IMAGE, **changes: Any) -> dict[str, Any]:
    """Returns a request's JSON."""
    shape = list(images.shape)
    return {
        "inputs": [
            {"name": "image", "datatype": "FP32", "shape": shape, "data": images.reshape(-1).tolist(), **changes}
        ]
    }


def picture_of(image: np.ndarray, form: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, form)
    return buffer.getvalue()

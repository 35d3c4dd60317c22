"""What a version's manifest says to a server: inputs, outputs, how pictures become pixels, which format is fastest."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from orchestrator.errors import RegistryError
from orchestrator.registry.entries import ModelVersion
from trainables.predicting.reading import Reading, reading_of
from trainables.specs.export import FACTS

#: Formats that may differ more from the checkpoint, such as those of fewer bits, are not chosen for their speed.
_MOST_TOLERANCE = 1e-4
#: Images of the batches by whose latency formats are compared.
_BATCH = "32"


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribedInput:
    """One input of a model.

    Attributes:
        name: Its name.
        shape: Of one image: height, width, channels.
    """

    name: str
    shape: tuple[int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribedOutput:
    """One output of a model.

    Attributes:
        name: Its name in files and requests.
        target: What it predicts.
        kind: classification, multilabel, regression or mask.
        shape: For one image.
        class_names: In the order of the last axis; empty for numbers.
    """

    name: str
    target: str
    kind: str
    shape: tuple[int, ...]
    class_names: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribedVersion:
    """A version of a model and what its manifest says.

    Attributes:
        version: The version.
        inputs: In the manifest's order.
        outputs: In the manifest's order.
        reading: How pictures become pixels of the first input.
        formats: Those that this machine can load, the best first.
    """

    version: ModelVersion
    inputs: tuple[DescribedInput, ...]
    outputs: tuple[DescribedOutput, ...]
    reading: Reading
    formats: tuple[str, ...]


def described_version(version: ModelVersion, manifest: Mapping[str, Any]) -> DescribedVersion:
    """Returns what a manifest says of a version.

    Raises:
        RegistryError: If the manifest describes no model, or this machine can load none of the version's formats.
    """
    try:
        inputs = tuple(_input(named) for named in manifest["inputs"])
        outputs = tuple(_output(named) for named in manifest["outputs"])
        formats = formats_by_speed(version.formats, runtimes=manifest.get("runtimes", {}))
        reading = reading_of(manifest.get("preprocessing", {}), shape=inputs[0].shape)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as exc:
        raise RegistryError(
            f"{version.name} version {version.version}: its manifest does not describe a model "
            f"({type(exc).__name__}: {exc}); export the model again"
        ) from exc
    if not outputs or not formats:
        raise RegistryError(
            f"{version.name} version {version.version}: none of its formats ({', '.join(version.formats) or 'none'}) "
            "can be loaded here; install the extra of one, such as convfleet[onnx]"
        )
    return DescribedVersion(version=version, inputs=inputs, outputs=outputs, reading=reading, formats=formats)


def formats_by_speed(formats: list[str], *, runtimes: Mapping[str, Any]) -> tuple[str, ...]:
    """Returns the formats that this machine can load: first those that their export measured, fastest first.

    A format of another runtime than TensorFlow comes first, as it answers without TensorFlow's 500 MB; all formats of
    an export were compared with its checkpoint.

    Args:
        formats: The version's, keras first.
        runtimes: The manifest's section.
    """
    measured = {
        name: float(runtimes[name]["latency_seconds"][_BATCH]["p50"])
        for name in formats
        if name in runtimes and FACTS[name].tolerance <= _MOST_TOLERANCE and _has_runtime(name, runtimes[name])
    }
    return (*sorted(measured, key=lambda name: measured[name]), *(name for name in formats if not FACTS[name].packages))


def _has_runtime(name: str, facts: Mapping[str, Any]) -> bool:
    # The runtime is one of the packages that the format needs; what converts to it is not needed to run it.
    runtime = {"litert": "ai_edge_litert", "onnx": "onnxruntime", "openvino": "openvino"}.get(name)
    return bool(facts) and runtime is not None and find_spec(runtime) is not None


def _input(named: Mapping[str, Any]) -> DescribedInput:
    _, height, width, channels = named["shape"]
    return DescribedInput(name=str(named["name"]), shape=(int(height), int(width), int(channels)))


def _output(named: Mapping[str, Any]) -> DescribedOutput:
    return DescribedOutput(
        name=str(named["name"]),
        target=str(named.get("target", named["name"])),
        kind=str(named["kind"]),
        shape=tuple(int(size) for size in named["shape"][1:]),
        class_names=tuple(map(str, named["class_names"])),
    )

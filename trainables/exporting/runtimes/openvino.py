"""Format `openvino`: a folder with model.xml and model.bin, loaded by OpenVINO."""

import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

from trainables.exporting.runtimes.conversion import Arrays, Conversion, RuntimeModel, Source, check_names
from trainables.exporting.runtimes.operators import RESIZING
from trainables.machine.signal_stack import kept_signal_stack

MODEL_FILE = "model.xml"
#: CPUs that multiply in bfloat16 do so by default, which costs up to 2e-3.
PRECISION = "f32"


def _convert(source: Source, path: Path) -> None:
    openvino = without_telemetry()
    model = openvino.convert_model(str(source.saved_model))
    ordered = openvino.Model(
        [_named(model.outputs, name, source.outputs).node for name in source.outputs],
        [_named(model.inputs, name, source.inputs).node for name in source.inputs],
        path.name,
    )
    path.mkdir()
    openvino.save_model(ordered, str(path / MODEL_FILE), compress_to_fp16=False)


def without_telemetry() -> Any:
    """Returns the package, which would send statistics of its use as soon as it is imported."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    # Late: only this format needs it.
    import openvino

    return openvino


def _named(ends: Any, name: str, names: tuple[str, ...]) -> Any:
    """Returns the input or output of a name, which then is the only one it has."""
    found: Any = next((end for end in ends if name in end.get_names()), None)
    if found is None:
        check_names([text for end in ends for text in end.get_names()], names)
    found.set_names({name})
    return found


def _open(path: Path, threads: int) -> RuntimeModel:
    openvino = without_telemetry()
    settings = {"INFERENCE_PRECISION_HINT": PRECISION, "INFERENCE_NUM_THREADS": threads}
    with kept_signal_stack():
        compiled = openvino.Core().compile_model(str(path / MODEL_FILE), "CPU", settings)
    names = [output.get_any_name() for output in compiled.outputs]

    def predict(images: Arrays) -> Arrays:
        found = compiled(dict(images))
        return {name: found[name].copy() for name in names}

    return RuntimeModel(
        predict=predict,
        version=version("openvino"),
        settings={"threads": threads, "device": "CPU", "inference_precision": PRECISION},
    )


OPENVINO = Conversion(
    runtime="openvino",
    convert=_convert,
    open=_open,
    unknown=RESIZING,
)

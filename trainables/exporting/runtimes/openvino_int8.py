"""Format `openvino_int8`: OpenVINO's model with int8 weights and values, calibrated by NNCF."""

import contextlib
import io
import logging
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from trainables.exporting.runtimes.calibration import calibration_batches, layer_batches
from trainables.exporting.runtimes.conversion import Arrays, LayerValues, Source
from trainables.exporting.runtimes.openvino import MODEL_FILE, OPENVINO, PRECISION, without_telemetry
from trainables.machine.signal_stack import kept_signal_stack

_QUANTISING = "FakeQuantize"
#: Nodes that compute nothing of the images, or nothing of their own.
_NO_LAYERS = frozenset({"Constant", "Parameter", "Result", "Convert", _QUANTISING})


def _convert(source: Source, path: Path) -> None:
    batches = list(calibration_batches(source))
    openvino = without_telemetry()
    # Late, and after the telemetry of both is away: only this format needs it.
    import nncf
    from nncf.quantization.range_estimator import RangeEstimatorParametersSet

    nncf.set_log_level(logging.ERROR)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".openvino_int8.") as name:
        OPENVINO.convert(source, Path(name) / path.name)
        model = openvino.Core().read_model(str(Path(name) / path.name / MODEL_FILE))
        # It draws its progress on stdout, which a command's JSON has for itself.
        with kept_signal_stack(), contextlib.redirect_stdout(io.StringIO()):
            quantised = nncf.quantize(
                model,
                nncf.Dataset(batches),
                subset_size=len(batches),
                preset=nncf.QuantizationPreset.MIXED,
                # Its own settings correct biases and cut ranges to means over images; on small models either costs far
                # more equal answers than it saves.
                advanced_parameters=nncf.AdvancedQuantizationParameters(
                    disable_bias_correction=True, activations_range_estimator_params=RangeEstimatorParametersSet.MINMAX
                ),
            )
        path.mkdir()
        openvino.save_model(quantised, str(path / MODEL_FILE), compress_to_fp16=False)


def _layer_values(source: Source, path: Path) -> LayerValues:
    batches = layer_batches(source)
    with tempfile.TemporaryDirectory(dir=source.saved_model.parent, prefix=".layers.") as name:
        whole = Path(name) / "whole"
        OPENVINO.convert(source, whole)
        exact, before = _node_values(whole, batches)
    return LayerValues(exact=exact, quantised=_node_values(path, batches)[0], before=before)


def _node_values(path: Path, batches: Sequence[Arrays]) -> tuple[Arrays, dict[str, tuple[str, ...]]]:
    """Returns what nodes of a file give that have names of layers, and what each node is computed from.

    A quantised node gives what the next one reads.

    Args:
        path: The folder of the file.
        batches: One image each, by input.
    """
    openvino = without_telemetry()
    model = openvino.Core().read_model(str(path / MODEL_FILE))
    nodes = {node.get_friendly_name(): node for node in model.get_ordered_ops()}
    before = {
        name: tuple(end.get_source_output().get_node().get_friendly_name() for end in node.inputs())
        for name, node in nodes.items()
    }
    # Those without a slash are numbered anew in every file.
    named = [
        (name, _read_by_next(node))
        for name, node in nodes.items()
        if "/" in name and node.get_type_name() not in _NO_LAYERS and node.get_output_size() == 1
    ]
    kept = [(name, end) for name, end in named if end.get_element_type() == openvino.Type.f32]
    for name, end in kept:
        end.get_tensor().add_names({name})
    # An end that the model has for an output already goes by that one's name.
    names = [output.get_any_name() for output in model.add_outputs([end for _, end in kept])]
    with kept_signal_stack():
        compiled = openvino.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": PRECISION})
    found: list[dict[str, np.ndarray]] = []
    for batch in batches:
        given = compiled(dict(batch))
        found.append({name: given[name].copy() for name in names})
    return {node: np.stack([item[name] for item in found]) for (node, _), name in zip(kept, names, strict=True)}, before


def _read_by_next(node: Any) -> Any:
    """Returns a node's output, after it was quantised where it is."""
    end = node.output(0)
    readers = [target.get_node() for target in end.get_target_inputs()]
    return next((reader.output(0) for reader in readers if reader.get_type_name() == _QUANTISING), end)


OPENVINO_INT8 = replace(OPENVINO, convert=_convert, layer_values=_layer_values)

"""Format `onnx_int8`: the ONNX file with int8 weights and values, calibrated by ONNX Runtime's own tools."""

import logging
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from trainables.exporting.runtimes.calibration import calibration_batches, layer_batches
from trainables.exporting.runtimes.conversion import Arrays, LayerValues, Source
from trainables.exporting.runtimes.onnx import ONNX, tensors_before

#: What becomes int8. Probabilities stay float32: in steps of 1/256 many classes would come out equally probable.
_OPERATORS = (
    "Add",
    "AveragePool",
    "Clip",
    "Concat",
    "Conv",
    "ConvTranspose",
    "Gemm",
    "GlobalAveragePool",
    "LeakyRelu",
    "MatMul",
    "MaxPool",
    "Relu",
    "Reshape",
    "Resize",
    "Transpose",
)


def _convert(source: Source, path: Path) -> None:
    # Late: only this format needs it.
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):
        """Hands the calibration one image after another."""

        def __init__(self) -> None:
            self._batches = calibration_batches(source)

        def get_next(self) -> dict[str, np.ndarray] | None:
            return next(self._batches, None)

    reader = Reader()
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".onnx_int8.") as name, _without_warnings():
        whole, prepared = Path(name) / "whole.onnx", Path(name) / "prepared.onnx"
        ONNX.convert(source, whole)
        # Its symbolic shapes need a further package, and no layer of these models needs them.
        quant_pre_process(str(whole), str(prepared), skip_symbolic_shape=True)
        # Not quantised while it runs, nor in layers of its own: either is slower than float32 with signed weights.
        quantize_static(
            str(prepared),
            str(path),
            reader,
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=list(_OPERATORS),
            per_channel=True,
            # Weights of 7 bits: with 8, sums of two products overflow on processors without VNNI, and answers change.
            reduce_range=True,
        )


def _layer_values(source: Source, path: Path) -> LayerValues:
    # Late: as above.
    from onnxruntime.quantization import qdq_loss_debug

    batches = layer_batches(source)
    with tempfile.TemporaryDirectory(dir=source.saved_model.parent, prefix=".layers.") as name, _without_warnings():
        whole = Path(name) / "whole.onnx"
        ONNX.convert(source, whole)

        def values_of(model: Path) -> Mapping[str, Sequence[np.ndarray]]:
            opened = Path(name) / f"opened_{model.name}"
            qdq_loss_debug.modify_model_output_intermediate_tensors(str(model), str(opened))
            found: Mapping[str, Sequence[np.ndarray]] = qdq_loss_debug.collect_activations(str(opened), batches)
            return found

        pairs = qdq_loss_debug.create_activation_matching(values_of(path), values_of(whole))
        before = tensors_before(whole)
    # ONNX Runtime's own optimisation adds tensors that the float32 file does not have.
    known = {tensor: pair for tensor, pair in pairs.items() if "float" in pair}
    return LayerValues(exact=_stacked(known, "float"), quantised=_stacked(known, "post_qdq"), before=before)


def _stacked(pairs: Mapping[str, Mapping[str, Sequence[np.ndarray]]], key: str) -> Arrays:
    return {tensor: np.stack(pair[key]) for tensor, pair in pairs.items()}


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Leaves out what the tools log on the root logger, which a user cannot act on.

    A logger's filter sees what is logged on it alone; to disable logging would silence everybody, and for good where
    two exports end in another order than they began.
    """

    def is_error(record: logging.LogRecord) -> bool:
        return record.levelno > logging.WARNING

    root = logging.getLogger()
    root.addFilter(is_error)
    try:
        yield
    finally:
        root.removeFilter(is_error)


ONNX_INT8 = replace(ONNX, convert=_convert, layer_values=_layer_values)

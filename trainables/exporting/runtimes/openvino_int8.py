"""Format `openvino_int8`: OpenVINO's model with int8 weights and values, calibrated by NNCF."""

import contextlib
import io
import logging
import tempfile
from dataclasses import replace
from pathlib import Path

from trainables.exporting.runtimes.calibration import calibration_batches
from trainables.exporting.runtimes.conversion import Source
from trainables.exporting.runtimes.openvino import MODEL_FILE, OPENVINO, without_telemetry
from trainables.machine.signal_stack import kept_signal_stack


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


OPENVINO_INT8 = replace(OPENVINO, convert=_convert)

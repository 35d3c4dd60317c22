"""Format `litert`: a .tflite file of built-in operators only, loaded by ai-edge-litert."""

from importlib.metadata import version
from pathlib import Path

from trainables.exporting.runtimes.conversion import Arrays, Conversion, RuntimeModel, Source
from trainables.exporting.runtimes.operators import RESIZING

_SIGNATURE = "serving_default"


def _convert(source: Source, path: Path) -> None:
    # Late: the process that verifies the file imports this module without TensorFlow.
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_saved_model(str(source.saved_model))
    # Without TensorFlow's own operators, which a file may hold and ai-edge-litert cannot run.
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    path.write_bytes(converter.convert())


def _open(path: Path, threads: int) -> RuntimeModel:
    # Late: only this format needs it.
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(path), num_threads=threads)
    # By name: the order of the file's own inputs and outputs is neither the model's nor the alphabet's.
    runner = interpreter.get_signature_runner(_SIGNATURE)

    def predict(images: Arrays) -> Arrays:
        return dict(runner(**images))

    return RuntimeModel(predict=predict, version=version("ai-edge-litert"), settings={"threads": threads})


LITERT = Conversion(runtime="ai-edge-litert", convert=_convert, open=_open, unknown=RESIZING)

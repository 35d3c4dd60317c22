"""The lines of code that load an export in each runtime, without convfleet."""

from collections.abc import Mapping, Sequence
from typing import Any

from trainables.specs.export import FILES

_IMPORTS: Mapping[str, str] = {
    "keras": "import keras",
    "saved_model": "import tensorflow as tf",
    "litert": "from ai_edge_litert.interpreter import Interpreter",
    "onnx": "import onnxruntime",
    "openvino": "import openvino",
}
_CALLS: Mapping[str, Sequence[str]] = {
    "keras": ('model = keras.models.load_model("{file}")', "found = model.predict({lone}, verbose=0)"),
    "saved_model": ('model = tf.saved_model.load("{file}")', "found = model.serve({lone})"),
    "litert": (
        'interpreter = Interpreter(model_path="{file}")',
        'found = interpreter.get_signature_runner("serving_default")(**{named})',
    ),
    "onnx": ('session = onnxruntime.InferenceSession("{file}")', "found = session.run(None, {named})"),
    "openvino": (
        'model = openvino.compile_model("{file}/model.xml", "CPU", {{"INFERENCE_PRECISION_HINT": "f32"}})',
        "found = model({named})",
    ),
}


def loading_code(manifest: Mapping[str, Any], form: str) -> str:
    """Returns the code that predicts one image of 8 bits, `image.png`, beside the files of an export.

    Args:
        manifest: The export's.
        form: One of its formats.
    """
    names = [named["name"] for named in manifest["inputs"]]
    # Of several inputs each takes an image of its own.
    named = "{" + ", ".join(f'"{name}": pixels' for name in names) + "}"
    lone = named if len(names) > 1 else "pixels"
    runtime = _runtime(form)
    calls = [line.format(file=FILES[form], lone=lone, named=named) for line in _CALLS[runtime]]
    imports = ["import numpy as np", "from PIL import Image, ImageOps"]
    third = _IMPORTS[runtime]
    ordered = sorted([third, imports[0]]) if third.startswith("import") else [imports[0]]
    rest = [imports[1]] if third.startswith("import") else [imports[1], third]
    first = ["import json", "from pathlib import Path", "", *ordered, *rest, ""]
    return "\n".join([*first, *_pixels(manifest), *calls, *_print(manifest)])


def _runtime(form: str) -> str:
    """Returns the format whose runtime loads another one, such as onnx for onnx_int8."""
    return form if form in _CALLS else form.partition("_")[0]


def _pixels(manifest: Mapping[str, Any]) -> list[str]:
    """Returns the lines that read an image as the study read its own: upright, in its range, on its ground, resized."""
    _, height, width, channels = manifest["inputs"][0]["shape"]
    mode = "L" if channels == 1 else "RGB"
    ranges, ground = manifest["preprocessing"]["pixel_range"], manifest["preprocessing"]["background"]
    low, high = ranges["8 bits"]
    lines = ['image = ImageOps.exif_transpose(Image.open("image.png")).convert("RGBA")']
    if (low, high) != (0, 255):
        lines += [
            f"levels = np.clip(np.rint((np.arange(256) - {low}) * 255 / {high - low}), 0, 255).astype(int).tolist()"
        ]
        lines += ["image = image.point(levels * 3 + list(range(256)))"]
    if isinstance(ground, list):
        lines += [f'image = Image.alpha_composite(Image.new("RGBA", image.size, {(*ground, 255)}), image)']
    lines += [f'image = image.convert("{mode}").resize(({width}, {height}), Image.Resampling.BILINEAR)']
    lines += [f"pixels = np.asarray(image, np.float32).reshape(1, {height}, {width}, {channels})"]
    return lines


def _print(manifest: Mapping[str, Any]) -> list[str]:
    outputs = manifest["outputs"]
    if len(outputs) == 1 and outputs[0]["class_names"]:
        return ['print(json.loads(Path("manifest.json").read_text())["outputs"][0]["class_names"], found)']
    return ['print([output["name"] for output in json.loads(Path("manifest.json").read_text())["outputs"]], found)']

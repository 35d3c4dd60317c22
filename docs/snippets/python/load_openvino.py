from pathlib import Path

import numpy as np
import openvino

export = next(Path("runs/quickstart/exports").glob("1-*"))
exact = {"INFERENCE_PRECISION_HINT": "f32"}  # without it, some CPUs compute in bfloat16
model = openvino.Core().compile_model(str(export / "openvino" / "model.xml"), "CPU", exact)
images = np.zeros((2, 8, 8, 1), "float32")  # pixels of 0-255; the model scales them itself
print(model({"image": images})["output_0"].shape)

from pathlib import Path

import numpy as np
import onnxruntime

export = next(Path("runs/quickstart/exports").glob("1-*"))
session = onnxruntime.InferenceSession(export / "model.onnx")
images = np.zeros((2, 8, 8, 1), "float32")  # pixels of 0-255; the model scales them itself
(probabilities,) = session.run(["output_0"], {"image": images})
print(probabilities.shape)

from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter

export = next(Path("runs/quickstart/exports").glob("1-*"))
predict = Interpreter(str(export / "model.tflite")).get_signature_runner("serving_default")
images = np.zeros((2, 8, 8, 1), "float32")  # pixels of 0-255; the model scales them itself
print(predict(image=images)["output_0"].shape)

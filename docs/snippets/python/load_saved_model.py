from pathlib import Path

import numpy as np
import tensorflow as tf

export = next(Path("runs/quickstart/exports").glob("1-*"))
loaded = tf.saved_model.load(str(export / "saved_model"))
images = np.zeros((2, 8, 8, 1), "float32")  # pixels of 0-255; the model scales them itself
print(loaded.serve(images).shape)

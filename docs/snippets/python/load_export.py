from pathlib import Path

import keras

export = next(Path("runs/quickstart/exports").glob("1-*"))
model = keras.models.load_model(export / "model.keras")
print(model.input_shape)

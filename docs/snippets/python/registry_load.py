import numpy as np

from convfleet import Registry

registry = Registry("registry", memory_mb=500)
model = registry.load("digits", alias="production")  # or version=2
images = np.zeros((3, 8, 8, 1), "uint8")  # pixels of 0-255; the model scales them itself
probabilities = model.predict(images)
classes = model.manifest["outputs"][0]["class_names"]
print(model.version.trial, [classes[number] for number in probabilities.argmax(axis=1)])

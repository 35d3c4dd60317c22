import numpy as np

from convfleet import Registry

models = Registry("registry").group({"digit": "digits@production", "ink": "ink@1"})
images = np.zeros((3, 8, 8, 1), "uint8")
for name, output in models.predict(images).items():  # each model is loaded when it is first needed
    print(name, output.shape)
print(models["digit"].version.version)

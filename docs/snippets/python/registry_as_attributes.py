import numpy as np

from convfleet import Registry

reader = Registry("registry").group({"digit": "digits", "ink": "ink"})  # without an alias: production
images = np.zeros((1, 8, 8, 1), "uint8")
print("digit", reader.digit.predict(images).argmax(), "ink", float(reader.ink.predict(images)[0, 0]))

import numpy as np

from convfleet import Registry, models

fleet = models("runs/quickstart").filter(lambda model: model.checkpoint.is_kept)
best = max(fleet, key=lambda model: model.metrics["val_accuracy"])
small = min(fleet, key=lambda model: model.costs["parameters"])
group = Registry("registry").group({"best": best.load, "small": small.load})  # loads nothing yet
print(group["small"].predict(np.zeros((2, 8, 8, 1)), verbose=0).shape)  # loads one, and keeps it

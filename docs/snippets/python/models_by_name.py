from convfleet import models

by_name = models("runs/quickstart").by_name  # a dictionary of your own
one = by_name["t0000"]
print(one.family, one.params["filters"], int(one.costs["parameters"]), one.checkpoint.state)
print(one.keras().output_shape)  # with its initial weights; this line imports TensorFlow

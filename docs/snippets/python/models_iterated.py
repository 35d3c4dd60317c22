from convfleet import models

fleet = models("runs/quickstart")
for model in fleet:
    print(model.name, model.state, model.metrics.get("val_accuracy"))
for model in fleet.filter(lambda model: model.state == "completed" and model.checkpoint.is_kept):
    print(model.name, model.load().count_params())  # one at a time in memory
first, second = list(fleet)[:2]
print(fleet.diff(first.name, second.name, quick=True).num_equal_params)

from convfleet import open_run

result = open_run("runs/quickstart")
print(result.importance().select(["parameter", "share", "low", "high"]))
print(result.effects().select(["parameter", "value", "mean"]))
print(result.best_so_far().to_pylist()[-1])
print(result.savings().epochs, result.savings().core_seconds)

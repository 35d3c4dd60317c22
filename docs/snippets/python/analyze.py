from convfleet import open_run

result = open_run("runs/quickstart")
print(result.importance().select(["parameter", "share", "low", "high"]))
print(result.effects().select(["parameter", "value", "mean"]))
print(result.analysis()["savings"])

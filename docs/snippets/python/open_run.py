from convfleet import open_run

result = open_run("runs/quickstart")
print(result.leaderboard(3)["trial"].to_pylist())
print(result.epochs.column_names)

from convfleet import load_study, run_study

result = run_study(load_study("quickstart", overrides=["search.trials=4", "export.top=1"]))
print(result.leaderboard(3).to_pandas())  # pandas is yours to install; .trials and .epochs are Arrow tables
model = result.load_model(rank=1)

import pandas as pd

trials = pd.read_parquet("runs/quickstart/trials.parquet")
epochs = pd.read_parquet("runs/quickstart/epochs.parquet")
print(trials.groupby("family")["best_val_accuracy"].max())
print(epochs.merge(trials[["trial", "family"]]).groupby(["family", "epoch"])["val_accuracy"].mean())

convfleet track runs/quickstart --to mlflow --to tensorboard --follow

import convfleet

result = convfleet.open_run("runs/my-study")
result.figure("curves", metric="val_loss")

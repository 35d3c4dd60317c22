convfleet resume runs/quickstart --set search.trials=60
convfleet resume runs/quickstart --set schedule.max_epochs=30

convfleet export runs/quickstart --top 5
convfleet export runs/quickstart --format saved_model

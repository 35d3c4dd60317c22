convfleet status runs/quickstart
convfleet status runs/quickstart --json
convfleet report runs/quickstart

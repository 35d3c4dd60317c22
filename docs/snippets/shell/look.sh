convfleet status runs/quickstart
convfleet status runs/quickstart --json
convfleet analyze runs/quickstart
convfleet report runs/quickstart

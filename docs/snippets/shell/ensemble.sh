convfleet ensemble runs/quickstart --size 8
convfleet ensemble runs/quickstart --method soup --format keras

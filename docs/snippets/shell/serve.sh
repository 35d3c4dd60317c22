python -m pip install 'convfleet[serve]'
convfleet registry add runs/quickstart --name digits --alias production
convfleet serve registry
convfleet serve registry --port 9000 --memory 2GiB --replicas 2
convfleet serve registry --host 0.0.0.0 --token-file token

convfleet init flowers --minutes 10
convfleet run flowers.yaml

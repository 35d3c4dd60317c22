convfleet validate flowers.yaml
convfleet run flowers.yaml

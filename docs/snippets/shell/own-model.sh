convfleet validate my-nets.yaml
convfleet run my-nets.yaml

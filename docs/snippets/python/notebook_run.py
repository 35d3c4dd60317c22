import convfleet

study = convfleet.load_study("my-study.yaml")
result = convfleet.run_study(study)

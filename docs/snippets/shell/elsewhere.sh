convfleet status s3://bucket/runs/quickstart
convfleet resume s3://bucket/runs/quickstart

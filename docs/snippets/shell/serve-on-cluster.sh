convfleet serve /mnt/shared/registry --address auto --replicas 4
convfleet serve s3://bucket/registry --address auto --replicas 4 --host 0.0.0.0 --token-file token

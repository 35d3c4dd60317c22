convfleet launch my-study.yaml --on cluster.yaml --runs /mnt/shared/runs --set resources.max_concurrent=8
ray down cluster.yaml

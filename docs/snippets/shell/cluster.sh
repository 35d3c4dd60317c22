convfleet launch my-study.yaml --on cluster.yaml --runs /mnt/shared/runs
ray down cluster.yaml

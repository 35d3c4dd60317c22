ray up cluster.yaml
ray attach cluster.yaml
cd /mnt/shared && RAY_AUTH_MODE=token convfleet run my-study.yaml --address auto

# Prints a ConfigMap with the study and a RayJob; without --dry-run kubectl makes them.
convfleet launch my-study.yaml --on kubernetes --with image=registry.example/convfleet:0.1.0 --with claim=runs \
  --with workers=8 --with spot=gke --set resources.max_concurrent=8 --dry-run
# A cluster that stays, and a study that is sent to it through a tunnel:
convfleet launch my-study.yaml --on kubernetes --with image=registry.example/convfleet:0.1.0 --with claim=runs \
  --with lasting=true
export RAY_AUTH_TOKEN="$(kubectl get secret my-study --template '{{.data.auth_token | base64decode}}')"
kubectl port-forward service/my-study-head-svc 8265:8265
# and, while that runs, convfleet launch my-study.yaml --on http://127.0.0.1:8265 --runs /mnt/shared/runs

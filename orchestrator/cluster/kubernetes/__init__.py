"""A study as a job of KubeRay: manifests, rendered and handed to kubectl."""

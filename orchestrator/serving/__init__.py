"""Models of a registry behind HTTP: the KServe v2 protocol and pictures, batches, promotions; on Ray Serve."""

"""The server on Ray Serve: on a Ray of this machine alone, or on the nodes of a cluster."""

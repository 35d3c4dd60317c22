"""The machines: the connection to Ray, their resources, their workers' early start."""

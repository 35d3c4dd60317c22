"""Image data sets: decoded once on a node, memory-mapped by every trial."""

"""Pictures as arrays or as encoded files."""

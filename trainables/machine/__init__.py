"""The cores, GPUs, memory and child processes of this process."""

"""What this process has of the computer: cores, GPUs, memory, child processes."""

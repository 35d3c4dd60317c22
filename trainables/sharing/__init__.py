"""What a worker's node shares with the driver, and the folder that it has to itself where it shares nothing."""

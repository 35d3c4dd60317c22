"""What a worker is asked to do, as plain data."""

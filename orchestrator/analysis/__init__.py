"""What a run says about its parameters, and about stopping early."""

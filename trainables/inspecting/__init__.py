"""What models are made of and where two of them err, found out in a process of its own."""

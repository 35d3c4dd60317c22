"""One picture file: its header and its samples as they are, or why it cannot be read."""

"""A run in the terminal: live table, plain lines, summary, JSON."""

"""Models side by side, printed for people."""

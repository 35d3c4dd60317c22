"""Labels as classes, flags or numbers."""

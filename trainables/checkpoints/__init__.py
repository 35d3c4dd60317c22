"""All that a trial needs to go on exactly where it was."""

"""Commands that ask something of a study, also while it runs."""

"""What simple guesses reach on a data set: the rows that a study's trials are compared with."""

"""One decoded data set on disk: how it is built, checked and opened."""

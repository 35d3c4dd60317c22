"""One file a family, whose `build` returns its Keras model; other rooms call `building`."""

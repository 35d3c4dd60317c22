"""One file a family: `build(params, *, task)` returns its Keras model; `building` is the door."""

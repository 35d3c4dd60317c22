"""Text of a module with a function that builds a model, as a user writes it."""

#: How such a module begins.
HEADER = "import keras\nfrom keras import layers\n\n"
#: A function that returns what the blank says, for a flat image `h` of the input `i`.
FUNCTION = """
def build(params, input_shape, targets):
    i = keras.Input(input_shape)
    h = layers.Flatten()(layers.Rescaling(1 / 255)(i))
    return {}
"""

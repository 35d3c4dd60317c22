"""Builds in the style of Keras Tuner's guides, and made ones, for tests of the family `keras_tuner`."""

from pathlib import Path

HEADER = "import keras\nimport keras_tuner\nfrom keras import layers\n\n"

#: A model of the values so far, which costs little: tests of spaces need no more.
PLAIN = (
    "    return keras.Sequential([keras.Input((8, 8, 1)), layers.Flatten(), layers.Dense(10, activation='softmax')])\n"
)

#: Builds that ask for parameters in all the ways there are; each is the body of build(hp).
BUILDS = {
    "a loop": """
for i in range(hp.Int("num_blocks", 1, 4)):
    hp.Int(f"filters_{i}", 8, 32, step=8)
    if hp.Boolean(f"pool_{i}"):
        hp.Choice(f"kind_{i}", ["max", "average"])
""",
    "kinds": """
hp.Int("a", 1, 100)
hp.Int("b", 2, 64, sampling="log")
hp.Int("c", 2, 64, step=2, sampling="log")
hp.Int("d", 0, 10, step=3)
hp.Float("e", 0.0, 0.5)
hp.Float("f", 1e-4, 1e-1, sampling="log")
hp.Float("g", 1e-4, 1e-1, step=10, sampling="log")
hp.Float("h", 0.1, 0.9, step=0.2)
hp.Float("i", 1.0, 8.0, sampling="reverse_log")
hp.Choice("j", ["relu", "elu"])
hp.Choice("k", [0.1, 0.2, 0.1])
hp.Boolean("l", default=True)
hp.Fixed("m", "adam")
hp.Int("n", 3, 3)
hp.Int("o", 1, 4, step=10)
hp.Int("p", 1, 4, default=9)
hp.Float("q", 1, 4, default=2)
""",
    "explicit scopes": """
hp.Choice("model", ["mlp", "cnn", "none"])
with hp.conditional_scope("model", ["mlp"]):
    hp.Int("units", 8, 64)
    hp.Choice("depth", [1, 2])
    with hp.conditional_scope("depth", [2]):
        hp.Float("between", 0, 1)
with hp.conditional_scope("model", ["cnn", "mlp"]):
    hp.Boolean("norm")
hp.Int("late", 1, 3, parent_name="model", parent_values=["none"])
""",
    "one name in two scopes": """
hp.Choice("model", ["a", "b", "c"])
with hp.conditional_scope("model", ["a"]):
    hp.Int("units", 8, 64)
with hp.conditional_scope("model", ["b"]):
    hp.Int("units", 8, 64)
""",
    "nested branches": """
if hp.Choice("optimizer", ["adam", "sgd"]) == "sgd":
    if hp.Boolean("with_momentum"):
        hp.Float("momentum", 0.5, 0.99)
hp.Float("learning_rate", 1e-4, 1e-1, sampling="log")
""",
    "either of two": """
a, b = hp.Boolean("a"), hp.Boolean("b")
if a or b:
    hp.Int("either", 1, 9)
if a and b:
    hp.Int("both", 1, 9)
""",
    "one of two": """
a, b = hp.Boolean("a"), hp.Boolean("b")
if a or b:
    hp.Int("either", 1, 9)
""",
    "names of scopes and words": """
with hp.name_scope("stem"):
    hp.Int("conv filters", 8, 64)
hp.Choice("2nd-kernel", [3, 5])
""",
    "a large range in a loop": """
for i in range(hp.Int("depth", 1, 30)):
    if i > 27:
        hp.Boolean(f"last_{i}")
""",
    "a number as a condition": """
if hp.Float("dropout", 0.0, 0.5) > 0.2:
    hp.Choice("where", ["early", "late"])
""",
    "asked twice": """
hp.Int("units", 8, 64)
hp.Int("units", 8, 64)
if "units" in hp and hp.get("units") > 32:
    hp.Boolean("wide")
""",
}

#: A module in the style of Keras Tuner's guides: a loop of blocks with parameters of their own, and a scope.
GUIDE = """
def build(hp):
    model = keras.Sequential([keras.Input((8, 8, 1))])
    for i in range(hp.Int("num_blocks", 1, 2)):
        filters, kernel = hp.Choice(f"filters_{i}", [4, 8]), hp.Choice(f"kernel {i}", [1, 3])
        model.add(layers.Conv2D(filters, kernel, padding="same", activation="relu"))
        if hp.Boolean(f"pool_{i}"):
            model.add(layers.MaxPooling2D(2, padding="same"))
    model.add(layers.Flatten())
    with hp.conditional_scope("num_blocks", [1]):
        units = hp.Int("units", 8, 16, step=8)
    if units is not None:
        model.add(layers.Dense(units, activation="relu"))
    model.add(layers.Dense(10, activation="softmax"))
    rate = hp.Float("learning_rate", 1e-3, 1e-1, sampling="log")
    model.compile(keras.optimizers.Adam(rate), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model
"""


def write_build(folder: Path, body: str, *, name: str = "nets") -> str:
    """Writes a module with a build(hp) of this body, and returns its reference."""
    lines = "".join(f"    {line}\n" for line in body.strip("\n").splitlines())
    (folder / f"{name}.py").write_text(f"{HEADER}def build(hp):\n{lines}{PLAIN}", encoding="utf-8")
    return f"{name}:build"

"""The family `custom`: a user's function is found, called, checked, and told back with its own lines."""

import textwrap
from dataclasses import replace

import pytest
from own_functions import FUNCTION, HEADER

from search_spaces import Variant
from trainables.errors import DataError, UserCodeError
from trainables.families.building import build_model
from trainables.specs.task import Target, Task
from trainables.user_code import source_of

pytestmark = pytest.mark.usefixtures("one_thread")

TASK = Task.classification(input_shape=(8, 8, 1), num_classes=10)
AGE = Target(name="age", kind="regression", size=2, loss="mean_squared_error", metrics=("mae",))
FLAGS = Target(name="flags", kind="multilabel", size=3, loss="binary_crossentropy", metrics=("accuracy",))
BOTH = Task(input_shape=(8, 8, 1), targets=(TASK.targets[0], AGE))
TWO_IMAGES = Task(input_shape=(8, 8, 1), targets=TASK.targets, inputs=("left", "right"))

GOOD = "keras.Model(i, layers.Dense(targets[0].size, activation='softmax')(h))"


@pytest.fixture
def build(tmp_path):
    """Builds the model of a function in nets.py beside a study file."""

    def make(text, *, task=TASK, function="nets:build", **params):
        (tmp_path / "nets.py").write_text(HEADER + textwrap.dedent(text), encoding="utf-8")
        variant = Variant(family="custom", params={"function": function, **params}, seed=0)
        return build_model(variant, task=task, study_dir=str(tmp_path))

    return make


NOTE = """
def build(params, input_shape, targets):
    seen.append((dict(params), input_shape, targets))
    i = keras.Input(input_shape)
    return keras.Model(i, layers.Dense(targets[0].size, activation="softmax")(layers.Flatten()(i)))

seen = []
"""


def test_a_function_gets_its_own_parameters_the_images_shape_and_the_targets(build):
    import sys

    build(NOTE, width=8, sides=[3, 5], name="x", learning_rate=0.1, batch_size=7, source="", normalization="scale")
    assert sys.modules["nets"].seen == [({"width": 8, "sides": [3, 5], "name": "x"}, (8, 8, 1), TASK.targets)]


READING = [
    ("params['width']", {"width": 4}, ""),
    ("params.get('width', 3)", {"width": 4}, ""),
    ("params.pop('width')", {"width": 4}, ""),
    ("params.setdefault('width', 3)", {"width": 4}, ""),
    ("'width' in params", {"width": 4}, ""),
    ("dict(params)", {"width": 4}, ""),
    ("{**params}", {"width": 4, "depth": 2}, ""),
    ("(lambda **all: all)(**params)", {"width": 4}, ""),
    ("[name for name in params]", {"width": 4}, ""),
    ("list(params.items())", {"width": 4}, ""),
    ("params.copy()", {"width": 4}, ""),
    # Read under a condition that this variant does not meet.
    ("params['width'] == 4 or params['depth']", {"width": 4, "depth": 2}, ""),
    ("0", {"width": 4}, "never reads 'width', so that trials would differ in name only; read it in your function, or"),
    (
        "params['width']",
        {"width": 4, "lr": 0.1},
        "'lr', so that trials would differ in name only; lr: the study has it "
        "as space.params.learning_rate, or drop it from space.params",
    ),
    (
        "params.get('width')",
        {"lr": 0.1, "epochs": 3},
        "never reads 'epochs', 'lr', so that trials would differ in name "
        "only; epochs: the study has it as schedule.max_epochs; lr: the study has it as space.params.learning_rate, or "
        "drop them from space.params",
    ),
]


@pytest.mark.parametrize(("reading", "params", "words"), READING)
def test_parameters_that_a_function_never_reads_are_refused(build, reading, params, words):
    text = FUNCTION.format(GOOD).replace("    return", f"    {reading}\n    return")
    if not words:
        assert build(text, **params) is not None
        return
    with pytest.raises(UserCodeError) as caught:
        build(text, **params)
    assert words in str(caught.value)


def test_with_several_images_the_shapes_come_by_name(build):
    model = build(
        """
        def build(params, input_shape, targets):
            images = {name: keras.Input(shape, name=name) for name, shape in input_shape.items()}
            h = layers.Concatenate()([layers.Flatten()(image) for image in images.values()])
            return keras.Model(images, layers.Dense(10, activation="softmax")(h))
        """,
        task=TWO_IMAGES,
    )
    assert {tensor.name for tensor in model.inputs} == {"left", "right"}


def test_two_studies_may_call_their_modules_alike(tmp_path):
    text = FUNCTION.format("keras.Model(i, layers.Dense(helper.SIZE, activation='softmax')(h))")
    for size in (10, 4, 10):
        folder = tmp_path / str(size)
        folder.mkdir(exist_ok=True)
        (folder / "helper.py").write_text(f"SIZE = {size}")
        (folder / "nets.py").write_text(f"{HEADER}import helper\n{text}")
        task = Task.classification(input_shape=(8, 8, 1), num_classes=size)
        variant = Variant(family="custom", params={"function": "nets:build"}, seed=0)
        assert build_model(variant, task=task, study_dir=str(folder)).output_shape == (None, size)


NO_MODELS = [
    ("None", TASK, "expected it to return a keras.Model, got nothing; end it with return keras.Model(inputs, outputs)"),
    ("i", TASK, "expected it to return a keras.Model, got a KerasTensor"),
    (
        "keras.Model(i, layers.Dense(5, activation='softmax')(h))",
        TASK,
        "its model's output must be (None, 10), one probability a class, got (None, 5); end it with Dense(target.size)",
    ),
    (
        "keras.Model(i, [layers.Dense(10)(h)])",
        TASK,
        "its model's output must be (None, 10), one probability a class, got",
    ),
    ("keras.Model(i, {'label': layers.Dense(10)(h)})", TASK, "(None, 10), one probability a class, got a dict"),
    ("keras.Model(i, i)", TASK, "one probability a class, got (None, 8, 8, 1)"),
    ("keras.Model(i, layers.Dense(10)(h))", TASK, "must be probabilities that add up to 1; end it with activation='so"),
    (
        "keras.Model(i, layers.Dense(10, activation='sigmoid')(h))",
        TASK,
        "output must be probabilities that add up to 1; end it with activation='softmax'",
    ),
    (
        "keras.Model(i, layers.Softmax()(layers.Dense(10)(keras.ops.exp(h * 1e5))))",
        TASK,
        "its model's output is not finite for images of random pixels; scale pixels from 0-255 down first",
    ),
    (
        "keras.Model(i, layers.Dense(3)(h))",
        Task(input_shape=(8, 8, 1), targets=(FLAGS,)),
        "must be probabilities from 0 to 1; end it with activation='sigmoid'",
    ),
    (
        GOOD,
        BOTH,
        "its model must put out a dictionary of label, age, got a KerasTensor; return keras.Model(inputs, {'label'",
    ),
    (
        "keras.Model(i, {'label': layers.Dense(10)(h), 'years': layers.Dense(2)(h)})",
        BOTH,
        "its model must put out a dictionary of label, age, got a dictionary of label, years",
    ),
    (
        "keras.Model(i, {'label': layers.Dense(10)(h), 'age': layers.Dense(1)(h)})",
        BOTH,
        "its model's output 'age' must be (None, 2), one number a value, got (None, 1)",
    ),
    (
        "keras.Sequential([keras.Input((9, 9, 1)), layers.Flatten(), layers.Dense(10)])",
        TASK,
        "its model must take images (None, 8, 8, 1), but it does not: ",
    ),
    (
        "keras.Sequential([keras.Input((8, 8, 1)), layers.Flatten(), layers.Dense(10)])",
        TWO_IMAGES,
        "its model must take a dictionary of left, right, each (None, 8, 8, 1), but it does not: ",
    ),
]


@pytest.mark.parametrize(("returned", "task", "words"), NO_MODELS)
def test_what_is_no_model_of_the_task_is_told(build, returned, task, words):
    text = FUNCTION.format(returned).replace("(input_shape)", "((8, 8, 1))")
    with pytest.raises(UserCodeError) as caught:
        build(text, task=task)
    assert str(caught.value).startswith("function 'nets:build': ")
    assert words in str(caught.value)


def test_a_regression_may_put_out_any_numbers(build):
    model = build(
        FUNCTION.format("keras.Model(i, layers.Dense(2, bias_initializer='ones')(h))"),
        task=Task(input_shape=(8, 8, 1), targets=(AGE,)),
    )
    assert model.output_shape == (None, 2)


NOT_FOUND = [
    ("nets:absent", "has no function 'absent'; it has ['build']"),
    ("nowhere:build", "function 'nowhere:build': No module named 'nowhere'; expected the module in "),
    ("build", "function 'build': expected 'module:function', a module in "),
    ("json:loads", "function 'json:loads': the name 'json' already belongs to "),
]


@pytest.mark.parametrize(("function", "words"), NOT_FOUND)
def test_a_function_that_is_not_there_is_told(build, function, words):
    with pytest.raises(UserCodeError) as caught:
        build(FUNCTION.format(GOOD), function=function)
    assert words in str(caught.value)


def test_a_function_that_takes_something_else_is_told(build):
    with pytest.raises(UserCodeError, match=r"must take \(params, input_shape, targets\): build\(\) takes 1 pos"):
        build("def build(params):\n    return 5")


def test_code_that_was_changed_while_the_study_runs_is_not_the_trials_fault(build, tmp_path):
    build(FUNCTION.format(GOOD))
    source = source_of(["nets"], folder=tmp_path)
    assert build(FUNCTION.format(GOOD), source=f"{source},other=1234") is not None
    with pytest.raises(DataError, match=r"its code in .* was changed while the study runs .*; restore it, or run"):
        build(FUNCTION.format(GOOD) + "# changed", source=source)
    with pytest.raises(DataError, match="unreadable"):
        build("def build(:", source=source)
    with pytest.raises(DataError, match="no such file"):
        build("", function="gone:build", source=source)


def test_a_model_whose_call_knows_nothing_of_training_is_welcome(build):
    model = build(
        """
        class Own(keras.Model):
            def __init__(self):
                super().__init__()
                self.inner = keras.Sequential([layers.Flatten(), layers.Rescaling(0.01), layers.Dense(10, "softmax")])

            def call(self, inputs):
                return self.inner(inputs)

        def build(params, input_shape, targets):
            return Own()
        """
    )
    assert model.count_params() == 650


def test_the_packaged_example_serves_every_kind_of_target(studies):
    for target in (TASK.targets[0], AGE, FLAGS):
        variant = Variant(family="custom", params={"function": "custom_model:build"}, seed=0)
        task = replace(TASK, targets=(target,))
        assert build_model(variant, task=task, study_dir=studies).output_shape == (None, target.size)

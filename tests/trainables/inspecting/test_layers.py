"""The layers of built models, as rows."""

import json

import pytest

from search_spaces import Variant
from trainables.families.building import build_model
from trainables.inspecting.layers import layer_rows
from trainables.specs.task import Task

TASK = Task.classification(input_shape=(8, 8, 1), num_classes=3)


@pytest.mark.parametrize("family", ["sequential", "residual", "subclassed"])
def test_rows_hold_all_weights_of_a_model_and_no_inputs(family):
    model = build_model(Variant(family=family, params={"filters": 4}, seed=1), task=TASK)
    rows = layer_rows(model)
    assert sum(row["parameters"] for row in rows) == model.count_params()
    assert "InputLayer" not in [row["class"] for row in rows]
    assert json.loads(json.dumps(rows)) == rows


def test_rows_of_a_stack_are_in_its_order_with_shapes():
    model = build_model(Variant(family="sequential", params={"num_blocks": 1, "filters": 4}, seed=1), task=TASK)
    rows = layer_rows(model)
    assert [row["name"] for row in rows] == [layer.name for layer in model.layers]
    (convolution,) = (row for row in rows if row["class"] == "Conv2D")
    assert (convolution["output"], convolution["weights"]) == ([8, 8, 4], ["3x3x1x4 float32"])


def test_layers_inside_a_nested_model_come_in_the_order_in_which_they_are_called():
    model = build_model(Variant(family="subclassed", params={"filters": 4}, seed=1), task=TASK)
    kinds = [row["class"] for row in layer_rows(model)]
    assert kinds.index("Conv2D") < kinds.index("BatchNormalization") < kinds.index("Activation")

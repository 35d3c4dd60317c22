"""Layers of two models, aligned."""

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.fleet.layer_changes import layer_pairs


def layer(kind, output=(8,), **settings):
    return {"class": kind, "output": list(output), "weights": [], "trainable": True, "settings": settings}


LAYERS = st.lists(
    st.builds(layer, st.sampled_from(["Conv2D", "Dense", "Add"]), output=st.tuples(st.sampled_from([4, 8]))), max_size=8
)


@given(LAYERS, LAYERS)
def test_an_alignment_has_every_layer_once_in_its_order(first, second):
    pairs = layer_pairs(first, second)
    assert [pair.first for pair in pairs if pair.first is not None] == first
    assert [pair.second for pair in pairs if pair.second is not None] == second
    for pair in pairs:
        assert (pair.kind == "removed") == (pair.second is None)
        assert (pair.kind == "added") == (pair.first is None)
        if pair.first is not None and pair.second is not None:
            assert pair.first["class"] == pair.second["class"]
            assert (pair.kind == "same") == (pair.first == pair.second) == (not pair.changes)


@given(LAYERS)
def test_a_model_is_the_same_as_itself(layers):
    assert {pair.kind for pair in layer_pairs(layers, layers)} <= {"same"}


@given(LAYERS, st.data())
def test_layers_that_were_put_in_are_the_only_ones_that_differ(layers, data):
    places = data.draw(st.lists(st.integers(0, len(layers)), max_size=3))
    longer = list(layers)
    for place in sorted(places, reverse=True):
        longer.insert(place, layer("Dropout"))
    kinds = [pair.kind for pair in layer_pairs(layers, longer)]
    assert (kinds.count("added"), kinds.count("same"), len(kinds)) == (len(places), len(layers), len(longer))


def test_an_equal_layer_further_on_is_found_rather_than_a_changed_one():
    pairs = layer_pairs([layer("Conv2D", filters=8)], [layer("Conv2D", filters=4), layer("Conv2D", filters=8)])
    assert [pair.kind for pair in pairs] == ["added", "same"]


def test_a_changed_layer_says_which_settings_differ():
    pairs = layer_pairs([layer("Conv2D", filters=8, strides=1)], [layer("Conv2D", output=(4,), filters=8, strides=2)])
    assert [(item.name, item.first, item.second) for item in pairs[0].changes] == [
        ("output", [8], [4]),
        ("strides", 1, 2),
    ]

"""The space of a define-by-run build: all that Keras Tuner's own search would draw is in it, under the same names."""

import itertools

import keras_tuner
import numpy as np
import pytest
from hypermodels import BUILDS, HEADER, write_build

from search_spaces import Fixed, Parameter, SearchSpace, space_from_mapping, space_to_mapping
from trainables.errors import UserCodeError
from trainables.hypermodels.asked import name_of
from trainables.hypermodels.exploring import Explorer
from trainables.hypermodels.loading import HyperModelOfUser
from trainables.hypermodels.tracing import found_space, trace_of
from trainables.specs.worker import OwnCode

pytestmark = pytest.mark.usefixtures("one_thread")

#: Variants that Keras Tuner's random search draws of each build, and that are drawn of the space found.
NUM_DRAWS = 40


@pytest.fixture(scope="module", params=BUILDS)
def explored(request, tmp_path_factory):
    """A hypermodel and the space found of it."""
    folder = tmp_path_factory.mktemp("build")
    reference = write_build(folder, BUILDS[request.param])
    hypermodel = HyperModelOfUser(reference, OwnCode(folder=str(folder)))
    return hypermodel, found_space(reference, folder=folder)


def drawn_by_keras_tuner(hypermodel, folder, *, seed):
    """Yields the values that trials of Keras Tuner's random search would have, by the build's own names."""

    class Building(keras_tuner.RandomSearch):
        def run_trial(self, trial, *arguments, **options):
            self.hypermodel.build(trial.hyperparameters)
            drawn.append(dict(trial.hyperparameters.values))
            return 0.0

    drawn = []
    tuner = Building(
        hypermodel.build_with,
        objective=keras_tuner.Objective("val_loss", "min"),
        max_trials=NUM_DRAWS,
        seed=seed,
        directory=str(folder),
        overwrite=True,
    )
    tuner.search(verbose=0)
    return drawn


#: Keras Tuner 1.4.8 drops the value of the open scope with that of the closed one: its own build then gets a KeyError.
NOT_DRAWN = {"one name in two scopes"}


@pytest.mark.parametrize("explored", [name for name in BUILDS if name not in NOT_DRAWN], indirect=True)
def test_all_that_keras_tuner_draws_is_in_the_space(explored, tmp_path):
    hypermodel, space = explored
    drawn = drawn_by_keras_tuner(hypermodel, tmp_path, seed=3)
    assert drawn
    for values in drawn:
        asked = trace_of(hypermodel, {name_of(name): value for name, value in values.items()}).values
        # A default outside of its range is Keras Tuner's first trial, and none of its space.
        asked = {name: value for name, value in asked.items() if value != 9 or name != "p"}
        active = space.active({"family": "found", **asked})
        assert set(asked) == set(active) - {"family"}
        assert all(space.parameter(name).domain.contains(value) for name, value in asked.items())


def test_a_build_never_asks_for_more_than_a_variant_of_the_space_has(explored):
    hypermodel, space = explored
    generator = np.random.default_rng(5)
    for _ in range(NUM_DRAWS):
        values = {"family": "found"}
        for parameter in space.parameters[1:]:
            if space.is_active(parameter.name, values):
                domain = parameter.domain
                size = domain.size
                values[parameter.name] = (
                    float(generator.uniform(domain.low, domain.high))
                    if size is None
                    else domain.at(int(generator.integers(size)))
                )
        assert set(trace_of(hypermodel, values).values) <= set(values)


def test_a_space_found_is_written_and_read_back(explored):
    _, space = explored
    assert space_from_mapping(space_to_mapping(space)) == space


def declared(folder, body):
    return space_to_mapping(found_space(write_build(folder, body), folder=folder))["params"]


def test_each_kind_is_declared_as_a_study_file_would(tmp_path):
    assert declared(tmp_path, BUILDS["kinds"]) == {
        "a": {"int": [1, 100]},
        "b": {"int": [2, 64], "log": True},
        "c": {"choice": [2, 4, 8, 16, 32, 64]},
        "d": {"int": [0, 10], "step": 3},
        "e": {"float": [0.0, 0.5]},
        "f": {"float": [1e-4, 1e-1], "log": True},
        "g": {"choice": [1e-4, 1e-3, 1e-2, 1e-1]},
        "h": {"float": [0.1, 0.9], "step": 0.2},
        "i": {"float": [1.0, 8.0]},
        "j": {"choice": ["relu", "elu"]},
        "k": {"choice": [0.1, 0.2]},
        "l": {"choice": [False, True]},
        "m": "adam",
        "n": 3,
        "o": 1,
        "p": {"int": [1, 4]},
        "q": {"float": [1.0, 4.0]},
    }


CONDITIONS = {
    "a loop": {
        "filters_0": None,
        "kind_0": {"pool_0": True},
        "filters_1": {"num_blocks": [2, 3, 4]},
        "pool_3": {"num_blocks": 4},
        "kind_3": {"pool_3": True},
    },
    "explicit scopes": {
        "units": {"model": "mlp"},
        "between": {"depth": 2},
        "norm": {"model": ["mlp", "cnn"]},
        "late": {"model": "none"},
    },
    "one name in two scopes": {"units": {"model": ["a", "b"]}},
    "nested branches": {"momentum": {"with_momentum": True}, "learning_rate": None},
    "either of two": {"either": None, "both": {"a": True, "b": True}},
    "one of two": {"a": None, "b": None, "either": None},
    "names of scopes and words": {"stem_conv_filters": None, "_2nd_kernel": None},
    "a large range in a loop": {"last_28": {"depth": [29, 30]}, "last_29": {"depth": 30}},
    "a number as a condition": {"where": None},
}


@pytest.mark.parametrize("build", CONDITIONS)
def test_conditions_are_found(tmp_path, build):
    found = declared(tmp_path, BUILDS[build])
    assert {name: dict(found[name]).get("when") for name in CONDITIONS[build]} == CONDITIONS[build]


REFUSED = {
    "one name, two kinds": (
        "hp.Int('q', 1, 4)\nhp.Choice('q', ['x', 'y'])",
        "nets.py:7: hp.Choice('q', ['x', 'y']): 'q' is hp.Int('q', 1, 4) in nets.py:6, and Keras Tuner would draw one "
        "value for both; give each a name of its own",
    ),
    "one name, two ranges in two branches": (
        "if hp.Boolean('b'):\n    hp.Int('q', 100, 400)\nelse:\n    hp.Int('q', 1, 4)",
        "nets.py:7: hp.Int('q', 100, 400): 'q' is hp.Int('q', 1, 4) in nets.py:9",
    ),
    "one name, two ranges in two scopes": (
        "hp.Choice('m', ['a', 'b'])\nwith hp.conditional_scope('m', ['a']):\n    hp.Int('q', 1, 4)\n"
        "with hp.conditional_scope('m', ['b']):\n    hp.Int('q', 100, 400)",
        "hp.Int('q', 100, 400): 'q' is hp.Int('q', 1, 4)",
    ),
    "a range that others change": (
        "hp.Int('q', 1, hp.Int('most', 2, 4))",
        "nets.py:6: hp.Int('q', 1, 3): the range changes with other values, it was hp.Int('q', 1, 2) before",
    ),
    "two names that become one": (
        "hp.Int('a b', 1, 4)\nhp.Int('a-b', 1, 4)",
        "nets.py:7: hp.Int('a-b', 1, 4): a space has letters, digits and underscores in names, so that 'a-b' and "
        "'a b' (nets.py:6) are both 'a_b'; rename one of them",
    ),
    "kinds in one choice": ("hp.Choice('q', [1, 'x'])", "nets.py:6: TypeError: A `Choice` can contain only one type"),
    "no value": ("hp.Choice('q', [])", "nets.py:6: ValueError: `values` must be provided"),
    "nothing as a value": ("hp.Choice('q', [None, None])", "nets.py:6: TypeError: A `Choice` can contain only"),
    "a number as a text": (
        "hp.Choice('q', ['1e-4', '1e-3'])",
        "nets.py:6: hp.Choice('q', ['1e-4', '1e-3']): a study file would read the text '1e-4' as a number; use the",
    ),
    "ends the wrong way round": ("hp.Int('q', 4, 1)", "nets.py:6: ValueError: For HyperParameters.Int(name='q'), min"),
    "endless": ("hp.Float('q', 0, float('inf'))", "nets.py:6: hp.Float('q', 0.0, inf): "),
    "no parent": (
        "with hp.conditional_scope('none', [1]):\n    hp.Int('q', 1, 4)",
        "nets.py:6: ValueError: `HyperParameter` named: none not defined.",
    ),
    "the family": ("hp.Int('family', 1, 4)", "a space has its families under this name; rename it"),
    "chance": (
        "import itertools\nbuild.count = getattr(build, 'count', 0) + 1\nhp.Int(f'q{build.count}', 1, 4)",
        "the same values lead to other parameters at each call, first q1 and then q2; ask for parameters by the",
    ),
    "an error of its own": ("hp.Int('q', 1, 4)\n1 / 0", "nets.py:7: ZeroDivisionError: division by zero"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_space_that_cannot_be_said_is_refused_in_words(tmp_path, case):
    body, words = REFUSED[case]
    with pytest.raises(UserCodeError) as caught:
        found_space(write_build(tmp_path, body), folder=tmp_path)
    assert words in str(caught.value)


def test_an_exploration_that_finds_no_end_says_so(tmp_path):
    hypermodel = HyperModelOfUser(write_build(tmp_path, BUILDS["a loop"]), OwnCode(folder=str(tmp_path)))
    hours = itertools.count()
    explorer = Explorer(lambda values: trace_of(hypermodel, values), clock=lambda: 100.0 * next(hours))
    with pytest.raises(UserCodeError, match=r"its space is not found after 9 calls in 1000 s, with \d+ parameters so"):
        explorer.explore()


HYPERMODELS = {
    "a class": (
        "class Net(keras_tuner.HyperModel):\n    def build(self, hp):\n        hp.Int('q', 1, 4)\n",
        "nets:Net",
    ),
    "an object": (
        "class Net(keras_tuner.HyperModel):\n    def build(self, hp):\n        hp.Int('q', 1, 4)\n\nnet = Net('n')\n",
        "nets:net",
    ),
    "one that declares first": (
        "class Net(keras_tuner.HyperModel):\n    def declare_hyperparameters(self, hp):\n        hp.Int('q', 1, 4)\n"
        "    def build(self, hp):\n        hp.get('q')\n",
        "nets:Net",
    ),
    "one that is not tunable": (
        "class Net(keras_tuner.HyperModel):\n    def build(self, hp):\n        hp.Int('r', 1, 4)\n\n"
        "def build(hp):\n    hp.Int('q', 1, 4)\n    Net(tunable=False).build(hp)\n",
        "nets:build",
    ),
}


@pytest.mark.parametrize("kind", HYPERMODELS)
def test_hypermodels_of_all_kinds_are_taken(tmp_path, kind):
    text, reference = HYPERMODELS[kind]
    (tmp_path / "nets.py").write_text(HEADER + text, encoding="utf-8")
    expected = SearchSpace(
        [
            Parameter(name="family", domain=Fixed("found")),
            Parameter(
                name="q",
                domain=space_from_mapping({"family": "f", "params": {"q": {"int": [1, 4]}}}).parameter("q").domain,
            ),
        ]
    )
    assert found_space(reference, folder=tmp_path) == expected


NO_HYPERMODELS = {
    "a class of another kind": ("class Net:\n    def build(self, hp): ...\n", "nets:Net", "got the class Net; for"),
    "a number": ("net = 3\n", "nets:net", "nets.py has no function 'net'"),
    "a fit of its own": (
        "class Net(keras_tuner.HyperModel):\n    def build(self, hp): ...\n\n    def fit(self, hp, model, *a, **k):\n"
        "        return model.fit(*a, epochs=hp.Int('epochs', 1, 4), **k)\n",
        "nets:Net",
        "function 'nets:Net': nets.py:8: Net has a fit of its own, which no trial calls: an epoch runs compiled as a "
        "whole. Move what it sets: epochs to schedule.max_epochs, batch_size to space.params",
    ),
    "a class that needs arguments": (
        "class Net(keras_tuner.HyperModel):\n    def __init__(self, shape): ...\n    def build(self, hp): ...\n",
        "nets:Net",
        "must take no arguments",
    ),
    "a function of nothing": ("def build(): ...\n", "nets:build", "must take (hp): "),
}


@pytest.mark.parametrize("case", NO_HYPERMODELS)
def test_what_is_no_hypermodel_is_refused(tmp_path, case):
    text, reference, words = NO_HYPERMODELS[case]
    (tmp_path / "nets.py").write_text(HEADER + text, encoding="utf-8")
    with pytest.raises(UserCodeError) as caught:
        found_space(reference, folder=tmp_path)
    assert words in str(caught.value)

"""Models in memory leave within a budget, least recently used first; several models answer for one input."""

import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_exports import REAL_RUN, write_export

from orchestrator.driver.api import open_run
from orchestrator.errors import InputError, RegistryError
from orchestrator.registry.loading import LoadedModel, LoadedModels
from orchestrator.registry.registry import Registry

MEGABYTE = 1_000_000


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """Four versions whose models have 1, 2, 3 and 4 MB."""
    folder = tmp_path_factory.mktemp("versions")
    registry = Registry(folder / "registry")
    for number in range(1, 5):
        export = write_export(folder / f"export-{number}", files={"model.keras": bytes(number * MEGABYTE)})
        registry.add(export, name="digits")
    return list(registry.model("digits").versions.values())


def memory(megabytes: float | None) -> tuple[LoadedModels, list[int]]:
    """Returns a memory of a budget whose models are empty, and the versions that it loaded, in order."""
    loaded: list[int] = []

    def load(version: Any, form: str) -> LoadedModel:
        loaded.append(version.version)
        return LoadedModel(version=version, manifest={}, model=None, _predict=lambda images: images)

    budget = None if megabytes is None else megabytes * MEGABYTE
    return LoadedModels(budget_bytes=budget, load=load), loaded


def test_a_model_is_loaded_once_while_there_is_room(versions: list[Any]) -> None:
    models, loaded = memory(None)
    first = [models.get(version, "keras") for version in versions]
    assert [models.get(version, "keras") for version in versions] == first
    assert loaded == [1, 2, 3, 4]


def test_the_least_recently_used_leave_first_and_come_back_when_needed(versions: list[Any]) -> None:
    models, loaded = memory(6)
    one, two, three, four = versions
    for version in (one, two, three, one, two):
        models.get(version, "keras")
    assert loaded == [1, 2, 3]
    # 4 MB more need two places: 3 was used before 1 and 2, and leaves; then 1.
    models.get(four, "keras")
    assert [number for _, number in models.loaded] == [2, 4]
    models.get(three, "keras")
    assert loaded == [1, 2, 3, 4, 3]


def test_the_budget_holds_after_every_load(versions: list[Any]) -> None:
    generator = np.random.default_rng(3)
    models, _ = memory(5)
    for version in generator.choice(np.array(versions, dtype=object), 40):
        models.get(version, "keras")
        assert 0 < models.size_bytes <= 5 * MEGABYTE
        assert models.loaded[-1] == ("digits", version.version)


def test_a_model_above_the_budget_is_refused_and_drives_no_other_one_out(versions: list[Any]) -> None:
    models, loaded = memory(3)
    models.get(versions[0], "keras")
    message = "memory_mb: digits version 4 has 4.0 MB of keras alone, the budget is 3.0 MB; give more"
    with pytest.raises(RegistryError, match=message):
        models.get(versions[3], "keras")
    assert (models.loaded, loaded) == ([("digits", 1)], [1])


@pytest.mark.parametrize("budget", [0, -1, float("nan")])
def test_a_budget_that_is_none_is_refused(budget: float) -> None:
    with pytest.raises(InputError, match=f"memory_mb: must be a number above 0, got {budget}"):
        Registry("registry", memory_mb=budget)


class Halves:
    """A model that predicts half of each image, and counts how often it was made."""

    made = 0

    def __init__(self) -> None:
        Halves.made += 1

    def predict(self, images: Any) -> Any:
        return np.asarray(images) / 2


def test_a_function_of_a_group_is_called_when_its_model_is_first_needed_and_once() -> None:
    Halves.made = 0
    group = Registry("registry").group({"half": Halves, "twice": Halves})
    assert (list(group), len(group), Halves.made) == (["half", "twice"], 2, 0)
    assert group.half is group["half"]
    assert Halves.made == 1
    assert {name: values.tolist() for name, values in group.predict([2.0, 4.0]).items()} == {
        "half": [1.0, 2.0],
        "twice": [1.0, 2.0],
    }
    assert Halves.made == 2


@pytest.mark.parametrize(
    ("models", "message"),
    [
        ({"my digit": "digits"}, r"models: a name in a group must be a Python name such as digit .*; got 'my digit'"),
        ({"predict": "digits"}, "got 'predict'"),
        ({"items": "digits"}, "got 'items'"),
        ({"_digit": "digits"}, "got '_digit'"),
        ({"digit": 3}, "models: digit: must be a text such as digits@production, or a function .*, got 3"),
    ],
)
def test_a_group_that_cannot_be_is_refused(models: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Registry("registry").group(models)


def test_a_name_that_a_group_has_not_is_refused_with_those_that_it_has(tmp_path: Path) -> None:
    group = Registry(tmp_path / "registry").group({"digit": Halves, "angle": "angles"})
    message = r"no model of the group is called 'digti'; did you mean 'digit'\? models: digit, angle"
    with pytest.raises(InputError, match=message):
        group["digti"]
    with pytest.raises(AttributeError, match=message):
        _ = group.digti
    with pytest.raises(InputError, match="no such registry"):
        _ = group.angle


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    """The two real models of a kept run, which is a classifier of digits, as two versions."""
    made = Registry(tmp_path_factory.mktemp("real") / "registry")
    made.add(REAL_RUN, name="digits", alias="production")
    made.add(REAL_RUN, name="digits", rank=2, alias="candidate")
    return made


IMAGES = np.random.default_rng(5).integers(0, 256, (300, 8, 8, 1), dtype=np.uint8)


@pytest.mark.slow
def test_a_loaded_model_predicts_what_the_run_s_own_predicts(registry: Registry) -> None:
    expected = open_run(REAL_RUN).load_model(rank=1).predict(IMAGES.astype("float32"), verbose=0)
    for form in ("keras", "saved_model"):
        predicted = registry.load("digits", form=form).predict(IMAGES)
        assert predicted.shape == (300, 10)
        assert np.abs(predicted - expected).max() < 1e-5


@pytest.mark.slow
def test_two_versions_at_once_share_nothing(registry: Registry) -> None:
    one, two = registry.load("digits", version=1), registry.load("digits", version=2)
    before = two.predict(IMAGES)
    for weight in one.model.weights:
        weight.assign(weight * 0)
    assert np.array_equal(two.predict(IMAGES), before)
    assert np.allclose(one.predict(IMAGES), 0.1)
    # Another registry object has models of its own.
    assert not np.allclose(Registry(registry.path).load("digits", version=1).predict(IMAGES), 0.1)


@pytest.mark.slow
def test_a_model_that_leaves_gives_its_memory_back(registry: Registry) -> None:
    one, two = (registry.model("digits").versions[number] for number in (1, 2))
    sizes = [version.files["model.keras"]["size_bytes"] for version in (one, two)]
    reader = Registry(registry.path, memory_mb=(sum(sizes) - 1) / 1e6)
    # A traced function and its model refer to each other.
    reader.load("digits", version=1).predict(IMAGES)
    gone = weakref.ref(reader.load("digits", version=1).model)
    reader.load("digits", version=2)
    assert gone() is None


@pytest.mark.slow
def test_an_alias_is_looked_up_at_each_load_and_a_group_keeps_what_it_found(registry: Registry) -> None:
    reader = Registry(registry.path)
    group = reader.group({"now": "digits@moving", "one": "digits@1", "plain": "digits"})
    registry.promote("digits", 1, to="moving")
    assert reader.load("digits", alias="moving").version.version == 1
    assert group.now.version.version == 1
    registry.promote("digits", 2, to="moving")
    assert reader.load("digits", alias="moving").version.version == 2
    assert (group.now.version.version, group["one"].version.version, group.plain.version.version) == (1, 1, 1)
    assert np.array_equal(group.predict(IMAGES)["now"], group.one.predict(IMAGES))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((8, 8, 1)), r"must be numbers of shape \(count, 8, 8, 1\), .* got float64 of shape \(8, 8, 1\)"),
        (np.zeros((2, 9, 8, 1)), r"got float64 of shape \(2, 9, 8, 1\)"),
        (np.full((1, 8, 8, 1), "white"), r"got <U5 of shape \(1, 8, 8, 1\)"),
        ({"picture": np.zeros((1, 8, 8, 1))}, r"must be one array for each of \['image'\], got \['picture'\]"),
    ],
    ids=["one image", "another size", "words", "another input"],
)
def test_images_that_a_model_does_not_take_are_refused_in_words(registry: Registry, images: Any, message: str) -> None:
    with pytest.raises(InputError, match=f"digits version 1: images: .*{message}"):
        registry.load("digits").predict(images)


@pytest.mark.slow
def test_any_number_of_images_is_predicted(registry: Registry) -> None:
    model = registry.load("digits")
    whole = model.predict(IMAGES)
    for count in (0, 1, 255, 257):
        assert np.allclose(model.predict({"image": IMAGES[:count]}), whole[:count], atol=1e-6)


@pytest.mark.slow
def test_a_file_that_tensorflow_cannot_load_is_refused_in_words(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "registry")
    registry.add(write_export(tmp_path / "export"), name="digits", alias="production")
    for form, name in (("keras", "model.keras"), ("saved_model", "saved_model")):
        message = (
            f"digits version 1: {name} cannot be loaded by this TensorFlow and Keras: .*; it was made by tensorflow"
        )
        with pytest.raises(InputError, match=message):
            registry.load("digits", form=form)


@pytest.mark.parametrize("name", ["../digits", "a" * 300, "a\0b", ""], ids=["outside", "long", "null", "none"])
def test_what_is_no_name_of_a_model_is_the_name_of_none(tmp_path: Path, name: str) -> None:
    registry = Registry(tmp_path / "registry")
    registry.add(write_export(tmp_path / "export"), name="digits")
    for ask in (registry.model, registry.load, lambda name: registry.promote(name, 1)):
        with pytest.raises(InputError, match=r"no model is called .* models: digits$"):
            ask(name)


def test_what_there_is_is_listed_for_what_there_is_not(registry: Registry) -> None:
    for load, message in (
        (lambda: registry.load("digit"), r"no model is called 'digit'; did you mean 'digits'\? models: digits"),
        (lambda: registry.load("digits", version=3), "digits: version 3 does not exist; versions: 1, 2"),
        (
            lambda: registry.load("digits", alias="producton"),
            r"digits: no version has the alias 'producton'; did you mean 'production'\? aliases: candidate, "
            ".*production; versions: 1, 2",
        ),
        (lambda: registry.load("digits", alias="x", version=1), "give an alias or a version, not both"),
        (lambda: registry.load("digits", form="onnx"), "must be one of keras, saved_model, .*got 'onnx'; its formats"),
        (lambda: Registry(registry.path / "none").load("digits"), "no such registry; `convfleet registry add"),
    ):
        with pytest.raises(InputError, match=message):
            load()

"""The contract between the catalog of families and their builders: one file of the same name on each side."""

from importlib import import_module
from pathlib import Path

import pytest

from trainables.catalog.families import FAMILIES

PACKAGE = Path(import_module("trainables").__path__[0])
#: What the two rooms hold besides the families.
SHARED = {
    "catalog": {"__init__", "families", "parameter", "training", "backbones"},
    "families": {"__init__", "building"},
}
#: Families whose parameters stand in another one's file: those of a user's own code have most of them in common.
BESIDE = {"catalog": {"keras_tuner": "custom"}, "families": {}}


@pytest.mark.parametrize("room", SHARED)
def test_a_room_has_one_file_for_each_family_and_no_other(room):
    files = {path.stem for path in (PACKAGE / room).glob("*.py")}
    assert files - SHARED[room] == set(FAMILIES) - set(BESIDE[room])
    assert set(BESIDE[room].values()) <= files
    assert SHARED[room] <= files


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_is_built_by_the_module_of_its_name(name):
    assert FAMILIES[name].module == f"trainables.families.{name}"

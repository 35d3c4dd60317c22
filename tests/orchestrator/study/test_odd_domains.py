"""Every parameter of every packaged study may be given any domain: it is taken, or refused in words."""

import copy
from pathlib import Path

import pytest
import yaml

from orchestrator.errors import InputError
from orchestrator.study import loading
from orchestrator.study.loading import load_study, packaged_studies
from trainables.catalog.families import FAMILIES
from trainables.catalog.training import TRAINING

STUDIES = Path(loading.__file__).parents[1] / "studies"
LONG = f"{'m' * 400}:build"
#: More values than memory or an index holds, none that can be counted, and a module whose name no file can have.
ODD = [{"int": [0, 10**12]}, {"int": [0, 10**30]}, {"float": [0.0, 1.0]}, LONG, {"choice": [LONG, 10**30]}]


def parameters_of(name: str) -> list[str]:
    own = FAMILIES[name].parameters if name in FAMILIES else {}
    return sorted({*TRAINING, *own, "source", "weights_sha256"})


@pytest.mark.parametrize("name", packaged_studies())
def test_any_domain_of_any_parameter_is_taken_or_refused_in_words(name: str, tmp_path: Path) -> None:
    document = yaml.safe_load((STUDIES / f"{name}.yaml").read_text(encoding="utf-8"))
    if isinstance(document["space"], str):
        document["space"] = {"base": document["space"]}
    refusals = []
    for parameter in parameters_of(name):
        for odd in ODD:
            changed = copy.deepcopy(document)
            changed["space"].setdefault("params", {})[parameter] = odd
            path = tmp_path / "odd.yaml"
            path.write_text(yaml.safe_dump(changed), encoding="utf-8")
            try:
                load_study(path)
            except InputError as exc:
                refusals += str(exc).split("\n")
    assert len(refusals) > len(parameters_of(name))
    assert all(line.startswith(str(path)) for line in refusals)

"""The packaged study of each family, run from Python, ends in exports that plain Keras loads."""

import json

import pandas as pd
import pytest

from trainables.catalog.families import FAMILIES

pytestmark = pytest.mark.slow

#: Those of `multitask` and `unet` have tests of their own.
STUDIES = [family for family in FAMILIES if family not in ("multitask", "unet")]


#: Shorter than it comes: what it learns is not the matter here.
CHANGES = ["search.trials=1", "schedule.max_epochs=2", "schedule.grace_epochs=1", "data.limit=600"]
CODE = """
import convfleet
convfleet.run_study(convfleet.load_study({family!r}, overrides={changes!r}))
"""


@pytest.mark.parametrize("family", STUDIES)
def test_a_packaged_study_ends_in_an_export_that_plain_keras_loads(family, run_python, told_by_plain_keras, tmp_path):
    run_python(CODE.format(family=family, changes=CHANGES), name=family, folder=tmp_path)
    run = tmp_path / "runs" / family
    trials = pd.read_parquet(run / "trials.parquet")
    assert set(trials["family"]) == {family}
    assert set(trials["state"]) <= {"completed", "stopped"}
    (folder,) = (run / "exports").iterdir()
    manifest = json.loads((folder / "manifest.json").read_text())
    assert max(manifest["parity_max_difference"].values()) <= 1e-5
    assert 0 < manifest["test_metrics"]["accuracy"] <= 1
    assert told_by_plain_keras(folder) == ["signature ['image'] ['output_0']", "output_0 True"]

"""What the driver reads of this package costs no framework."""

import subprocess
import sys

import pytest

HEAVY = ("tensorflow", "keras", "ray", "pyarrow", "optuna", "sklearn", "PIL")

LIGHT = (
    "trainables",
    "trainables.checkpoints.checkpoint",
    "trainables.errors",
    "trainables.catalog.families",
    "trainables.catalog.parameter",
    "trainables.reports",
    "trainables.specs.data",
    "trainables.worker.trial_run",
    "trainables.specs.worker",
)

START_A_TRIAL = """
from search_spaces import Variant
from trainables.specs.dataset import DatasetInfo
from trainables.specs.pixels import PixelStatistics
from trainables.specs.data import DataSpec
from trainables.specs.task import Task
from trainables.worker.trial_run import TrialRun
from trainables.specs.worker import DeviceSpec, TrainingSpec, WorkerSpec
info = DatasetInfo(key="", split_key="", folder="", task=Task.classification(input_shape=(8, 8, 1), num_classes=2),
                   statistics=PixelStatistics(means=(), deviations=()),
                   num_train=1, num_validation=1, num_test=1, fingerprint="")
spec = WorkerSpec(dataset=info, data=DataSpec(source="digits"), split_seed=0, device=DeviceSpec(), checkpoints="",
                  training=TrainingSpec(max_epochs=1, metric="val_accuracy", mode="max"))
TrialRun(trial="t0001", variant=Variant(family="sequential", params={}, seed=0), first_epoch=1, spec=spec)
"""


def heavy_after(code):
    script = f"import sys\n{code}\nprint(*sorted(set(sys.modules) & set({HEAVY!r})))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=600)
    return done.stdout.split()


def test_every_light_module_imports_nothing_heavy():
    assert heavy_after("\n".join(f"import {module}" for module in LIGHT)) == []


def test_a_trial_run_waits_with_everything_heavy_for_its_first_step():
    assert heavy_after(START_A_TRIAL) == []


def test_what_runs_a_study_leaves_the_report_for_its_end():
    imports = "import sys, orchestrator.driver.api, orchestrator.driver.runner"
    script = f"{imports}\nprint('orchestrator.views.report' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=600)
    assert done.stdout.split() == ["False"]


@pytest.mark.parametrize("module", ["trainables.families.parts.blocks"])
def test_the_measure_sees_a_heavy_import(module):
    assert {"tensorflow", "keras"} <= set(heavy_after(f"import {module}"))

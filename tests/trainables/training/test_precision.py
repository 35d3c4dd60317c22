"""Mixed precision: the study's choice, refused where hardware would imitate it, and forgotten by the next variant."""

import keras
import numpy as np
import pytest

from search_spaces import Variant
from trainables.catalog.families import FAMILIES
from trainables.checkpoints.checkpoint import Checkpoint
from trainables.errors import InfeasibleError
from trainables.exporting.loading import restored_model
from trainables.families.building import build_model
from trainables.specs.task import Task
from trainables.specs.worker import DeviceSpec
from trainables.training import precision
from trainables.training.precision import demand_precision

pytestmark = pytest.mark.usefixtures("one_thread")

TASK = Task.classification(input_shape=(8, 8, 1), num_classes=10)
CPU, GPU = DeviceSpec(), DeviceSpec(gpus=0.5)


@pytest.fixture
def cpu_flags(monkeypatch, tmp_path):
    """Sets the flags that the CPU tells of itself."""

    def tell(flags):
        (tmp_path / "cpuinfo").write_text(f"processor : 0\nflags : fpu avx512f {flags}\n", encoding="utf-8")
        monkeypatch.setattr(precision, "_CPU_INFO", tmp_path / "cpuinfo")

    return tell


@pytest.mark.parametrize("flags", ["avx512_bf16", "amx_bf16", "bf16"])
def test_a_cpu_with_bfloat16_may_use_it(cpu_flags, flags):
    cpu_flags(flags)
    demand_precision("mixed_bfloat16", CPU)


def test_a_precision_that_the_hardware_only_imitates_is_refused_with_the_way_out(cpu_flags, monkeypatch):
    cpu_flags("avx512_vnni")
    monkeypatch.setattr(precision, "_gpus_have_bfloat16", lambda: False)
    demand_precision("float32", CPU)
    with pytest.raises(
        InfeasibleError, match=r"needs a CPU \(avx512_bf16, .*\), this node's does not have it .*float32"
    ):
        demand_precision("mixed_bfloat16", CPU)
    with pytest.raises(InfeasibleError, match=r"'mixed_float16' needs a GPU, got a trial without one: .*float32"):
        demand_precision("mixed_float16", CPU)
    with pytest.raises(InfeasibleError, match=r"needs a GPU \(compute capability 8.0 or more\)"):
        demand_precision("mixed_bfloat16", GPU)


@pytest.mark.parametrize("family", FAMILIES)
def test_layers_compute_in_the_precision_but_pixels_are_scaled_and_outputs_made_in_float32(
    family, variant_of, studies, task_for
):
    model = build_model(variant_of(family, precision="mixed_bfloat16"), task=task_for(family), study_dir=studies)
    dtypes = {layer.compute_dtype for layer in model._flatten_layers(include_self=False)}
    assert dtypes == {"bfloat16", "float32"}
    assert {weight.dtype for weight in model.trainable_weights} == {"float32"}
    # How a model of the user's own scales pixels is the user's affair.
    assert family == "custom" or model.get_layer("scale").compute_dtype == "float32"
    assert model(np.zeros((2, 8, 8, 1), np.float32), training=False).dtype == "float32"
    assert keras.config.dtype_policy().name == "float32"


@pytest.mark.parametrize("name", ["mixed_bfloat16", "mixed_float16"])
def test_a_mixed_precision_training_learns_and_goes_on_exactly(training_of, variant_of, same_state, name):
    variant = variant_of(precision=name, learning_rate=0.01, ema_momentum=0.9)
    whole = training_of(variant, max_epochs=3)
    first = whole.run_epoch()
    state = whole.state()
    rest = [whole.run_epoch(), whole.run_epoch()]
    resumed = training_of(variant, max_epochs=3)
    resumed.load_state(state, history=[first])
    assert [resumed.run_epoch().metrics, resumed.run_epoch().metrics] == [report.metrics for report in rest]
    same_state(resumed.state(), whole.state())
    assert rest[-1].metrics["loss"] < first.metrics["loss"]

    checkpoint = Checkpoint(variant_id=variant.variant_id, state=whole.state(), history=whole.history)
    model = restored_model(variant, checkpoint, task=TASK)
    assert any(layer.compute_dtype != "float32" for layer in model.layers)


def test_a_variant_after_a_mixed_one_computes_as_if_it_were_alone(training_of, variant_of, same_state):
    alone = training_of(variant_of())
    expected = alone.run_epoch().metrics
    training_of(variant_of(precision="mixed_bfloat16")).run_epoch()
    after = training_of(variant_of())
    assert after.run_epoch().metrics == expected
    same_state(after.state(), alone.state())


def test_precision_makes_another_variant():
    plain = Variant(family="sequential", params={"precision": "float32"}, seed=1)
    mixed = Variant(family="sequential", params={"precision": "mixed_bfloat16"}, seed=1)
    assert plain.variant_id != mixed.variant_id

"""How much memory a training step takes, on a GPU that is faked: which figures are read, and what becomes of errors."""

import math
from types import SimpleNamespace

import pytest

from trainables.data.cache.in_process import prepare_in_process
from trainables.progress import no_progress
from trainables.specs.data import DataSpec

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return prepare_in_process(DataSpec(source="digits", cache_dir=str(tmp_path_factory.mktemp("cache"))), 0)


@pytest.fixture
def need(dataset, variant_of, one_thread, monkeypatch):
    """Returns the largest need of variants with so many filters, and the epochs that were trained to learn it."""
    from trainables.training import step_memory

    def tell(*filters, peaks=(), error=None, limits=None):
        left, epochs = list(peaks), []

        def run_epoch(training):
            epochs.append((len(training._data.train.indices), len(training._data.validation.indices)))
            if error is not None:
                raise error

        experimental = SimpleNamespace(
            reset_memory_stats=lambda device: None, get_memory_info=lambda device: {"peak": left.pop(0) * 2**20}
        )
        config = SimpleNamespace(list_logical_devices=lambda kind: ["GPU:0"], experimental=experimental)
        monkeypatch.setattr(step_memory, "tf", SimpleNamespace(config=config))
        monkeypatch.setattr(step_memory, "configure_devices", lambda spec: None)
        monkeypatch.setattr(step_memory.Training, "run_epoch", run_epoch)
        variants = [variant_of(filters=count) for count in filters]
        found = step_memory.largest_step_mib(
            variants, dataset=dataset, limits=limits or {}, study_dir="", progress=no_progress
        )
        return found, epochs

    return tell


# Validation takes batches of 256, and there are fewer images for it.
def test_on_a_gpu_the_largest_peak_of_one_batch_is_read(need):
    assert need(4, 8, 2, peaks=(10, 30, 20)) == ((30, True), [(32, 144)] * 3)


def test_what_is_beyond_the_limits_of_the_study_has_no_say(need):
    (mib, _), epochs = need(4, 64, peaks=(10,), limits={"parameters": 5_000})
    assert (mib, len(epochs)) == (10, 1)


def test_what_does_not_fit_needs_infinitely_much(need):
    assert need(4, error=MemoryError())[0] == (math.inf, True)


def test_what_fails_otherwise_has_no_say(need):
    assert need(4, 8, error=ValueError("of the variant's own"))[0] == (0, True)

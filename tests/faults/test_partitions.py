"""A worker that wakes up after another one took its trial over changes nothing, wherever it slept."""

import random

import partitions
import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.mark.parametrize("phase", partitions.PHASES)
def test_worker_that_wakes_up_takes_no_checkpoint_away(tmp_path, is_long, phase):
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    count = 50 if is_long else 3
    outcome = partitions.partitions(tmp_path, phase=phase, count=count, seed=seed)
    assert outcome.num_done == count
    assert not outcome.problems

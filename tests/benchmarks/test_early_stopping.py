"""The simulation of early stopping plays whole studies: all epochs without a rule, fewer with one."""

import random

import early_stopping
import pytest

from orchestrator.early_stopping.deciders import DECIDERS


@pytest.mark.parametrize("algorithm", DECIDERS)
def test_every_trial_reports_and_a_rule_saves_epochs(algorithm: str) -> None:
    curves = early_stopping.made_curves(random.Random(0), slowness=2.0, shape=(40, 12), noise=0.01)
    reached = early_stopping.played(curves, algorithm=algorithm, seed=0)
    assert min(reached) >= 1
    assert max(reached) == 12
    assert (sum(reached) == 40 * 12) == (algorithm == "none")

"""Learning rates follow their published formulas at every step, and the optimizer's step drives them."""

import math

import keras
import numpy as np
import pytest

from trainables.catalog.families import FAMILIES
from trainables.catalog.training import SCHEDULES
from trainables.steps.compiling import make_optimizer
from trainables.steps.schedules import Horizon, LearningRateSchedule, learning_rate_of

pytestmark = pytest.mark.usefixtures("one_thread")

HORIZONS = [Horizon(steps_per_epoch=1, max_epochs=1), Horizon(steps_per_epoch=8, max_epochs=6)]
PEAK = 0.3


def complete(**params):
    return FAMILIES["sequential"].with_defaults({"learning_rate": PEAK} | params)


def factor(schedule, progress, *, share, drops):
    """The formulas again, in plain Python and in double precision."""
    match schedule:
        case "constant":
            return 1.0
        case "cosine":
            return share + (1 - share) * 0.5 * (1 + math.cos(math.pi * progress))
        case "step":
            passed = sum(progress >= 1 - 1 / 2**number for number in range(1, drops + 1))
            return math.prod([share ** (1 / drops)] * passed)
        case "exponential":
            return math.exp(progress * math.log(share))
        case "one_cycle" if progress < 0.3:
            return 1.0 + (0.04 - 1.0) / 2 * (1 + math.cos(math.pi * progress / 0.3))
        case "one_cycle":
            return share + (1.0 - share) / 2 * (1 + math.cos(math.pi * (progress - 0.3) / 0.7))


@pytest.mark.parametrize("horizon", HORIZONS, ids=["one step", "48 steps"])
@pytest.mark.parametrize(("share", "drops"), [(0.01, 2), (0.2, 3), (1e-6, 1), (1.0, 2)])
@pytest.mark.parametrize("warmup_epochs", [0, 1.5, 100])
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_every_step_has_the_learning_rate_of_the_formula(schedule, warmup_epochs, share, drops, horizon):
    params = complete(
        schedule=schedule,
        warmup_epochs=warmup_epochs,
        final_learning_rate_share=share,
        learning_rate_drops=drops,
    )
    course = learning_rate_of(params, horizon)
    warmup = 0 if schedule == "one_cycle" else round(warmup_epochs * horizon.steps_per_epoch)
    steps_left = max(1, horizon.num_steps - warmup)
    for step in range(horizon.num_steps + 3):
        expected = PEAK * factor(schedule, min(1.0, max(0, step - warmup) / steps_left), share=share, drops=drops)
        if step < warmup:
            expected = PEAK * (step + 1) / warmup
        told = course if isinstance(course, float) else float(course(np.int64(step)))
        assert told == pytest.approx(expected, rel=2e-5), step


def test_a_learning_rate_that_never_changes_stays_a_plain_number():
    assert learning_rate_of(complete(), HORIZONS[1]) == PEAK


def test_two_step_drops_are_those_of_the_residual_networks():
    # He et al. 2015, section 4.2: 64,000 steps, divided by 10 at 32,000 and at 48,000.
    course = learning_rate_of(complete(schedule="step"), Horizon(steps_per_epoch=391, max_epochs=1))
    assert course.course.num_drops == 2
    course = LearningRateSchedule(**course.get_config() | {"num_steps": 64_000})
    told = [float(course(step)) / PEAK for step in (0, 31_999, 32_000, 47_999, 48_000, 63_999)]
    assert told == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])


@pytest.mark.parametrize("gathered", [1, 3])
def test_the_optimizer_takes_each_batch_at_its_own_learning_rate(gathered):
    horizon = Horizon(steps_per_epoch=4, max_epochs=3)
    params = complete(schedule="cosine", warmup_epochs=1, optimizer="sgd", momentum=0, gradient_accumulation=gathered)
    optimizer = make_optimizer(params, horizon=horizon)
    weight = keras.Variable(np.zeros(1, np.float32))
    optimizer.build([weight])
    course, expected = learning_rate_of(params, horizon), 0.0
    for step in range(horizon.num_steps):
        assert float(optimizer.learning_rate) == float(course(step))
        optimizer.apply([keras.ops.ones(1)])
        if (step + 1) % gathered == 0:
            expected -= float(course(step))
        assert float(weight.numpy()[0]) == pytest.approx(expected, abs=1e-6)


def test_a_schedule_is_made_again_from_its_configuration():
    course = learning_rate_of(complete(schedule="one_cycle"), HORIZONS[1])
    again = keras.optimizers.schedules.deserialize(keras.optimizers.schedules.serialize(course))
    assert again.course == course.course


@pytest.mark.parametrize("family", [name for name in FAMILIES if "schedule" not in FAMILIES[name].hands_over])
def test_a_training_knows_the_studys_epochs_and_its_own_batches(training_of, variant_of, family):
    training = training_of(variant_of(family, schedule="cosine", batch_size=32), max_epochs=5)
    # 100 images: three whole batches and one of 4.
    assert training.model.optimizer._learning_rate.course.num_steps == 5 * 4

"""Averages of batch normalisation that are too slow for the steps before a trial is judged."""

import pytest

pytestmark = pytest.mark.usefixtures("one_thread")


def model_with(*momentums, learns=True):
    import keras
    from keras import layers

    inner = keras.Sequential([layers.ReLU(), *(layers.BatchNormalization(momentum=value) for value in momentums)])
    model = keras.Sequential([keras.Input((4, 4, 1)), layers.Conv2D(2, 3), inner])
    inner.trainable = learns
    return model


@pytest.mark.parametrize(
    ("momentums", "num_steps", "said"),
    [
        (
            (0.99,),
            12,
            "momentum of 0.99: after the 12 steps until a trial is first judged, its averages still are 89%",
        ),
        ((0.9, 0.99), 229, "a momentum of 0.99: after the 229 steps"),
        ((0.99,), 230, ""),
        # As convfleet's own families have it.
        ((0.9,), 3, ""),
        ((), 1, ""),
    ],
)
def test_averages_that_still_are_a_tenth_of_what_they_began_with_are_said(momentums, num_steps, said):
    from trainables.families.parts.slow_averages import slow_averages

    text = slow_averages(model_with(*momentums), num_steps=num_steps)
    assert said in text
    assert bool(text) is bool(said)
    assert not text or "use layers.BatchNormalization(momentum=0.9), a smaller batch_size, or more" in text


def test_averages_of_layers_that_do_not_learn_do_not_count():
    from trainables.families.parts.slow_averages import slow_averages

    assert slow_averages(model_with(0.99, learns=False), num_steps=1) == ""

"""PASHA's ladder ends where longer training no longer changes who is best, and the best goes on all the same."""

from collections.abc import Sequence
from typing import Any

from orchestrator.early_stopping.asha import Asha
from orchestrator.early_stopping.decider import Reported, Rules
from orchestrator.early_stopping.pasha import MOST_RANKED, Pasha, noise
from orchestrator.study.sections import Schedule


def rules(**schedule: Any) -> Rules:
    numbers = {"algorithm": "pasha", "max_epochs": 27, "grace_epochs": 1, "reduction_factor": 3}
    return Rules(schedule=Schedule.model_validate(numbers | schedule), metric="score", mode="max", seed=0)


def train(decider: Any, number: int, values: Sequence[float]) -> tuple[int, str]:
    """Returns the epoch to which a trial trains, and why it stops."""
    for epoch, value in enumerate(values, start=1):
        report = Reported(trial=f"t{number}", number=number, epoch=epoch, value=value)
        if reason := decider.judge(report).reason:
            decider.complete(report)
            return epoch, reason
    return len(values), ""


def test_ladder_ends_at_its_second_rung_while_the_order_is_sure() -> None:
    decider = Pasha(rules())
    # Better ones come later; each lies where it lay before, at every epoch.
    epochs = [train(decider, number, [0.1 * number] * 20)[0] for number in range(6)]
    assert decider.top.milestone == 3
    assert epochs == [20] * 6, "each was the best so far"
    assert train(decider, 6, [0.45] * 20) == (
        3,
        "pasha: score 0.4500 at epoch 3, where the ladder ends so far, is not the best (0.5000); the order of the best "
        "3 of the 7 trials there is, but for noise, that of epoch 1",
    )
    # ASHA lets it go on: the same reports, and no end.
    asha = Asha(rules())
    for number in range(6):
        train(asha, number, [0.1 * number] * 20)
    assert train(asha, 6, [0.45] * 20) == (20, "")


def test_ladder_grows_when_the_best_change_places() -> None:
    decider = Pasha(rules())
    train(decider, 0, [0.5, 0.5, 0.5])
    assert decider.top.milestone == 3
    # The best at epoch 1 is overtaken at epoch 3.
    train(decider, 1, [0.6, 0.5, 0.45])
    assert decider.top.milestone == 9
    assert [rung.milestone for rung in decider.rungs] == [27, 9, 3, 1]


def test_noise_is_no_reason_to_grow() -> None:
    # Two that overtake each other at epochs 2 and 3 count as equal: they differ by 0.05 at epoch 3.
    assert noise([[0.50, 0.60, 0.45], [0.52, 0.51, 0.50]]) == 0.50 - 0.45
    # One overtaking is a change of places.
    assert noise([[0.40, 0.40, 0.55], [0.52, 0.51, 0.50]]) == 0.0
    noisy, steady = Pasha(rules(grace_epochs=3)), Pasha(rules(grace_epochs=3))
    waves = [0.52, 0.52, 0.52, 0.50, 0.52, 0.50, 0.52, 0.50, 0.46]
    for decider, course in ((noisy, waves), (steady, [0.52] * 8 + [0.46])):
        train(decider, 0, [0.51] * 9)
        train(decider, 1, course)
    assert noisy.top.milestone == 9
    assert steady.top.milestone == 27


def test_whole_ladder_is_ashas() -> None:
    # With two rungs, nothing is left to grow.
    decider, asha = Pasha(rules(max_epochs=8)), Asha(rules(max_epochs=8))
    curves = [[(number * 7 % 10) / 10 + epoch / 100 for epoch in range(7)] for number in range(30)]
    found = [train(decider, number, curve) for number, curve in enumerate(curves)]
    plain = [train(asha, number, curve) for number, curve in enumerate(curves)]
    assert [(epoch, reason.removeprefix("pasha")) for epoch, reason in found] == [
        (epoch, reason.removeprefix("asha")) for epoch, reason in plain
    ]
    assert any(reason for _, reason in found)


def test_winner_is_trained_to_its_end_and_fewer_epochs_are_spent() -> None:
    spent = {}
    for kind in (Pasha, Asha):
        decider = kind(rules())
        curves = [[(number * 37 % 101) / 101 * epoch / (epoch + 1) for epoch in range(1, 27)] for number in range(100)]
        spent[kind] = [train(decider, number, curve)[0] for number, curve in enumerate(curves)]
        best = max(range(100), key=lambda number: curves[number][-1])
        assert spent[kind][best] == 26
    assert sum(spent[Pasha]) < sum(spent[Asha])


def test_only_the_best_are_ranked() -> None:
    decider = Pasha(rules())
    # Ever better ones, so that ASHA stops none of them; and two weak ones that change places come first.
    train(decider, 0, [0.10, 0.10, 0.10])
    for number in range(1, 80):
        train(decider, number, [0.2 + number / 100] * 3)
    assert decider.top.milestone == 3
    assert decider._standings.num_ranked == MOST_RANKED

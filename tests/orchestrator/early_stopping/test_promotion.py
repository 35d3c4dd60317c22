"""Trials wait at rungs, and the best of a rung go on, as algorithm 2 of the paper has it."""

import dataclasses
import math
import random
from collections.abc import Callable, Iterator

import pytest

from orchestrator.early_stopping.decider import Promoting, Reported, Rules
from orchestrator.early_stopping.deciders import DECIDERS, make_decider
from orchestrator.early_stopping.promotion import PromotingAsha
from orchestrator.study.sections import Schedule

SEEDS = range(40)
#: (trial, the epoch after which it is with a worker).
Job = tuple[int, int]


def rules_of(*, mode: str = "max", objectives: tuple[str, ...] = (), **schedule: object) -> Rules:
    numbers = {"max_epochs": 9, "grace_epochs": 1, "reduction_factor": 3, **schedule}
    section = Schedule.model_validate({"algorithm": "asha", "promotion": True, **numbers})
    return Rules(schedule=section, metric="val_accuracy", mode=mode, seed=7, objectives=objectives)


def promoting(**schedule: object) -> PromotingAsha:
    decider = make_decider(rules_of(**schedule))
    assert isinstance(decider, PromotingAsha)
    return decider


def report(number: int, epoch: int, value: float, *, losses: tuple[float, ...] = ()) -> Reported:
    return Reported(trial=f"t{number:04d}", number=number, epoch=epoch, value=value, losses=losses)


def drawn_values(seed: int) -> Callable[[int, int], float]:
    """Returns the value of a trial at an epoch; few different ones, so that some are equal."""
    return lambda number, epoch: random.Random(f"{seed} {number} {epoch}").randint(0, 12) / 12


class Slow:
    """Algorithm 2 as the paper writes it: rungs are lists, and every question sorts them anew."""

    def __init__(self, rungs: list[int], *, factor: float) -> None:
        self.rungs, self.factor = rungs, factor
        self.values: dict[int, list[tuple[float, int]]] = {epoch: [] for epoch in rungs}
        self.promoted: dict[int, set[int]] = {epoch: set() for epoch in rungs}

    def get_job(self) -> Job | None:
        """Returns (trial, the rung that it leaves); None where a new trial begins."""
        for epoch in sorted(self.rungs, reverse=True):
            order = sorted(self.values[epoch], key=lambda item: -item[0])  # a stable sort keeps equal ones in order
            for _, number in order[: math.floor(len(order) / self.factor)]:
                if number not in self.promoted[epoch]:
                    self.promoted[epoch].add(number)
                    return number, epoch
        return None


def slow_jobs(seed: int, *, rungs: list[int], last: int, factor: float, workers: int, trials: int) -> Iterator[Job]:
    """Yields each job of a study in which workers finish in a drawn order."""
    slow, draw, value = Slow(rungs, factor=factor), random.Random(seed), drawn_values(seed)
    begun, running = 0, list[Job]()  # (trial, the epoch that its worker trains to)

    def give() -> Iterator[Job]:
        nonlocal begun
        if (job := slow.get_job()) is None:
            if begun == trials:
                return
            job, begun = (begun, 0), begun + 1
        running.append((job[0], min((epoch for epoch in rungs if epoch > job[1]), default=last)))
        yield job

    for _ in range(workers):
        yield from give()
    while running:
        number, epoch = running.pop(draw.randrange(len(running)))
        if epoch < last:
            slow.values[epoch].append((value(number, epoch), number))
        yield from give()


def jobs(seed: int, *, decider: PromotingAsha, rungs: list[int], last: int, workers: int, trials: int) -> Iterator[Job]:
    """Yields each job of the same study under a decider."""
    draw, value = random.Random(seed), drawn_values(seed)
    begun, running = 0, list[Job]()

    def begin(number: int, epoch: int) -> Job:
        running.append((number, min((later for later in rungs if later > epoch), default=last)))
        return number, epoch

    def give() -> Iterator[Job]:
        nonlocal begun
        if (promotion := decider.promotable()) is not None:
            decider.promote(promotion.trial)
            yield begin(int(promotion.trial[1:]), promotion.epoch)
        elif begun < trials:
            begun += 1
            yield begin(begun - 1, 0)

    for _ in range(workers):
        yield from give()
    while running:
        number, epoch = running.pop(draw.randrange(len(running)))
        news = report(number, epoch, value(number, epoch))
        if epoch == last:
            decider.complete(news)
        elif not decider.judge(news).waits:
            yield begin(number, epoch)
            continue
        yield from give()


@pytest.mark.parametrize(("factor", "last", "rungs"), [(3, 9, [1, 3]), (3, 12, [1, 3, 9]), (2, 20, [1, 2, 4, 8, 16])])
@pytest.mark.parametrize("workers", [1, 2, 5])
def test_every_job_is_the_one_that_algorithm_2_gives_out(
    factor: float, last: int, rungs: list[int], workers: int
) -> None:
    for seed in SEEDS:
        decider = promoting(reduction_factor=factor, max_epochs=last)
        expected = list(slow_jobs(seed, rungs=rungs, last=last, factor=factor, workers=workers, trials=40))
        found = list(jobs(seed, decider=decider, rungs=rungs, last=last, workers=workers, trials=40))
        assert found == expected, f"seed {seed}"
        assert any(epoch for _, epoch in found)


def test_trial_waits_until_enough_others_got_there_and_goes_on_with_its_reason() -> None:
    decider = promoting()
    verdict = decider.judge(report(0, 1, 0.8))
    assert (verdict.waits, verdict.stops) == (True, False)
    assert verdict.reason == "asha: waits at epoch 1 until it is among the best 1/3 of those that got there"
    assert decider.judge(report(1, 1, 0.5)).waits
    assert decider.promotable() is None
    assert decider.judge(report(2, 1, 0.4)).waits
    promotion = decider.promotable()
    assert promotion == decider.promotable()
    assert promotion is not None
    assert (promotion.trial, promotion.epoch) == ("t0000", 1)
    assert promotion.reason == (
        "asha: val_accuracy 0.8 at epoch 1 is number 1 of the 3 trials that got there, of which the best 1/3 go on"
    )
    decider.promote("t0000")
    assert decider.promotable() is None
    assert decider.why_left("t0001") == (
        "asha: it waited at epoch 1 and never was among the best 1/3 of the 3 trials that got there"
    )


def test_trial_that_is_among_the_best_as_it_reports_keeps_its_worker() -> None:
    decider = promoting()
    assert [decider.judge(report(number, 1, value)).waits for number, value in enumerate((0.1, 0.2, 0.9))] == [
        True,
        True,
        False,
    ]
    assert decider.promotable() is None


def test_highest_rung_is_served_first() -> None:
    decider = promoting(min_rivals=5)
    for epoch in (1, 3):
        for number in range(6):
            decider.judge(report(number, epoch, number / 10))
    # All six left the first rung by reporting further; of the second the best two may go on, one of them at once.
    promotion = decider.promotable()
    assert promotion is not None
    assert (promotion.trial, promotion.epoch) == ("t0004", 3)


def test_too_few_rivals_let_nobody_go_on_and_the_end_says_so() -> None:
    decider = promoting(min_rivals=4)
    assert all(decider.judge(report(number, 1, number / 10)).waits for number in range(4))
    assert decider.promotable() is None
    assert decider.why_left("t0003") == (
        "asha: it waited at epoch 1, which 4 trials got to, and 5 have to before one goes on"
    )
    decider.judge(report(4, 1, 0.0))
    promotion = decider.promotable()
    assert promotion is not None
    assert promotion.trial == "t0003"


def test_trial_that_ended_at_a_rung_counts_there_and_waits_for_nothing() -> None:
    decider = promoting()
    decider.complete(report(0, 1, 0.9))
    assert decider.judge(report(1, 1, 0.5)).waits
    assert decider.judge(report(2, 1, 0.4)).waits
    # The best third of three is the one that ended.
    assert decider.promotable() is None
    decider.judge(report(3, 1, 0.1))
    decider.judge(report(4, 1, 0.1))
    decider.judge(report(5, 1, 0.1))
    assert (promotion := decider.promotable()) is not None
    assert promotion.trial == "t0001"
    decider.complete(report(1, 1, 0.5))
    assert decider.promotable() is None


def test_small_values_are_ordered_as_the_mirror_of_large_ones() -> None:
    large, small = make_decider(rules_of()), make_decider(rules_of(mode="min"))
    assert isinstance(large, PromotingAsha)
    assert isinstance(small, PromotingAsha)
    value = drawn_values(3)
    for number in range(30):
        one, other = report(number, 1, value(number, 1)), report(number, 1, -value(number, 1))
        assert large.judge(one).waits == small.judge(other).waits
        if (promotion := large.promotable()) is not None:
            mirrored = small.promotable()
            assert mirrored is not None
            assert (mirrored.trial, mirrored.epoch) == (promotion.trial, promotion.epoch)
            large.promote(promotion.trial)
            small.promote(promotion.trial)


def test_state_follows_from_reports_and_promotions_whatever_the_order_of_the_latter() -> None:
    for seed in SEEDS:
        draw, live = random.Random(seed), promoting(max_epochs=27)
        told: list[Reported] = []
        epochs, waiting, promoted = [0] * 12, set[int](), list[str]()
        for _ in range(120):
            number = draw.randrange(12)
            if number in waiting or epochs[number] == 26:
                continue
            epochs[number] += 1
            news = report(number, epochs[number], draw.random())
            told.append(news)
            if live.judge(news).waits:
                waiting.add(number)
            if draw.random() < 0.5 and (promotion := live.promotable()):
                live.promote(promotion.trial)
                waiting.discard(int(promotion.trial[1:]))
                promoted.append(promotion.trial)
        again = promoting(max_epochs=27)
        for news in told:
            again.judge(news)
        for name in reversed(promoted):
            if (
                epochs[int(name[1:])] == max(news.epoch for news in told if news.trial == name)
                and int(name[1:]) not in waiting
            ):
                again.promote(name)
        while True:
            assert again.promotable() == live.promotable()
            if (promotion := live.promotable()) is None:
                break
            live.promote(promotion.trial)
            again.promote(promotion.trial)


def test_several_objectives_are_ordered_by_fronts_and_then_by_the_main_value() -> None:
    decider = make_decider(rules_of(objectives=("val_accuracy", "parameters")))
    assert isinstance(decider, Promoting)
    points = [(0.9, 50.0), (0.8, 60.0), (0.5, 10.0), (0.4, 70.0), (0.3, 80.0), (0.2, 90.0)]
    for number, (value, cost) in enumerate(points):
        decider.judge(report(number, 1, value, losses=(-value, cost)))
    # On the first front stand t0000 and t0002; t0001 is better than t0002 in the main value alone, and behind t0000.
    order = []
    while (promotion := decider.promotable()) is not None:
        order.append(promotion.trial)
        decider.promote(promotion.trial)
    assert order == ["t0000", "t0002"]


def test_rule_without_promotion_is_as_ever() -> None:
    for algorithm in DECIDERS:
        rules = dataclasses.replace(rules_of(), schedule=Schedule(algorithm=algorithm, max_epochs=9, grace_epochs=1))
        assert not isinstance(make_decider(rules), Promoting)

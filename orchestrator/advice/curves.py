"""Advice that curves give: at chance, overfitting, underfitting, the best value in the first or last epoch, alike."""

import math

from orchestrator.advice.evidence import NUM_BEST, Evidence, Ranked
from orchestrator.results.chance import luck_p_value
from orchestrator.text import number
from trainables.scores.interval import CONFIDENCE

#: A trial is right where it leaves no more of a blind guess's errors than this: of ten classes, 0.87 are right.
RIGHT = 0.15
#: It is wrong where it leaves more than this: twice as much, so that right and wrong are far apart.
WRONG = 0.3
#: Training is wrong too where more than this is left even of the images that were learnt from: half of all errors.
VERY_WRONG = 0.5
#: Of shorter trials, the first or the last epoch has the best value too easily.
MIN_EPOCHS = 3
#: A value is worse, or still better, where its distance from a perfect one changes by more than this part of it.
CHANGE = 0.1
#: Trials are alike where their best values differ by no more than this part of the best one's distance.
ALIKE = 0.05
#: Fewer trials may be alike by accident.
MIN_ALIKE = 6
#: On fewer images, values of different models are equal too easily.
MIN_ALIKE_IMAGES = 100


def at_chance(evidence: Evidence) -> str:
    """Returns advice for a study whose best value is no better than luck gives a blind guess."""
    metric, best = evidence.judged, evidence.best_judged
    blind, wrongness = evidence.blind.get(metric), evidence.wrongness(best)
    if best is None or blind is None or wrongness is None or not math.isfinite(wrongness):
        return ""
    if wrongness < 1.0:
        if evidence.shares.interval(metric, best) is None:
            return ""
        # Every report is a look: the best epoch of a trial is chosen by the same images.
        looks = sum(len(trial.reports) for trial in list(evidence.state.trials.values()))
        count = evidence.shares.count(metric)
        if luck_p_value(best, reference=blind, count=count, looks=looks) <= 1 - CONFIDENCE:
            return ""
    return (
        f"all {len(evidence.board)} trials with a result are at chance (the best has {metric} {number(best)}, the "
        f"{evidence.blind_name} {number(blind)}): check that the labels belong to the images (contact-sheet.png), then "
        "try lower learning rates and more epochs"
    )


def overfitting(evidence: Evidence) -> str:
    """Returns advice for a study whose best trials are right on training images and wrong on validation images."""
    if not all(_is_overfit(evidence, entry) for entry in evidence.best_completed):
        return ""
    return (
        f"training is right and validation is wrong ({_both(evidence)}): try data.augment, dropout, weight_decay or a "
        "smaller model; more images help most"
    )


def underfitting(evidence: Evidence) -> str:
    """Returns advice for a study whose best trials are wrong on the images that they learnt from, too."""
    if evidence.judged not in evidence.blind:
        return ""  # what is wrong may be no better than chance, which is not measured yet
    for trial, best in evidence.best_completed:
        training = evidence.wrongness(evidence.in_training(trial))
        validation = evidence.wrongness(best.metrics.get(evidence.judged))
        if training is None or validation is None or not min(training, validation) > VERY_WRONG:
            return ""
    return (
        f"training is wrong, too ({_both(evidence)}): try other learning rates, more epochs or smaller batches (more "
        "steps), then a larger model"
    )


def best_in_first_epoch(evidence: Evidence) -> str:
    """Returns advice for a study whose best trials only get worse after their first epoch."""
    for trial, best in evidence.best_completed:
        value, last = best.metrics[evidence.metric], evidence.values(trial)[-1]
        interval = evidence.shares.interval(evidence.metric, value)
        is_luck = interval is not None and interval[0] <= last <= interval[1]
        change = abs(last - value)
        if trial.epoch < MIN_EPOCHS or best.epoch != 1 or is_luck or not change > CHANGE * evidence.headroom(value):
            return ""
    return (
        f"the best {len(evidence.best_completed)} trials that completed have their best {evidence.metric} in the first "
        "epoch and get worse: try lower learning rates"
    )


def best_in_last_epoch(evidence: Evidence) -> str:
    """Returns advice for a study whose best trials were still getting better when they ended."""
    epochs = evidence.state.header.max_epochs
    if len(evidence.best_completed) < NUM_BEST or epochs < MIN_EPOCHS:
        return ""
    for trial, best in evidence.best_completed:
        # What the last third of the epochs brought.
        values = evidence.values(trial)[: math.ceil(epochs * 2 / 3)]
        if best.epoch != epochs or not values:
            return ""
        before = max(values) if evidence.state.header.mode == "max" else min(values)
        if not abs(best.metrics[evidence.metric] - before) > CHANGE * evidence.headroom(before):
            return ""
    return (
        f"the best {NUM_BEST} trials that completed have their best {evidence.metric} in the last epoch, {epochs}, and "
        f"were still getting better: try more (schedule.max_epochs={2 * epochs})"
    )


def alike(evidence: Evidence) -> str:
    """Returns advice for a study in which nothing that varies makes a difference."""
    board, count = evidence.board, evidence.shares.count(evidence.metric)
    if len(board) < MIN_ALIKE or 0 < count < MIN_ALIKE_IMAGES:
        return ""
    best, worst = (entry[1].metrics[evidence.metric] for entry in (board[0], board[-1]))
    headroom = evidence.headroom(best)
    if not headroom > 0.0 or not abs(best - worst) <= ALIKE * headroom:
        return ""
    params = repr(dict(board[0][0].variant.params))
    if all(repr(dict(trial.variant.params)) == params for trial, _ in board):
        return ""  # only the seed varies
    return (
        f"all {len(board)} trials with a result are alike ({evidence.metric} {number(worst)} to {number(best)}): what "
        "varies makes no difference; let something else vary, such as the family, its size or augment_strength"
    )


def _is_overfit(evidence: Evidence, entry: Ranked) -> bool:
    trial, best = entry
    trained, value = evidence.in_training(trial), best.metrics.get(evidence.judged)
    training, validation = evidence.wrongness(trained), evidence.wrongness(value)
    if trained is None or training is None or validation is None or not training <= RIGHT or not validation > WRONG:
        return False
    interval = evidence.shares.interval(evidence.judged, value)
    return interval is None or trained > interval[1]


def _both(evidence: Evidence) -> str:
    """Returns what the best trial that completed has on training and validation images, as text."""
    trial, best = evidence.best_completed[0]
    trained, value = evidence.in_training(trial), best.metrics[evidence.judged]
    name = evidence.judged.removeprefix("val_")
    return f"{trial.name}: {name} {number(trained)}, {evidence.judged} {number(value)}"

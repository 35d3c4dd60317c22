"""Numbers for each `auto` of a study's schedule, once the images are counted, and batch sizes that fit them."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

from orchestrator.errors import InputError
from orchestrator.study.spec import StudySpec
from search_spaces import Choice, Fixed, Float, Int, SearchSpace, portfolio_of
from trainables.catalog.families import FAMILIES
from trainables.catalog.training import TRAINING
from trainables.specs.dataset import DatasetInfo

#: Steps that a trial trains at least: LEAST_STEPS where they take up to MOST_EPOCHS epochs, and MANY_STEPS, which many
#: images are worth, where these take up to MANY_EPOCHS; in any case FEWEST_EPOCHS epochs.
LEAST_STEPS, MOST_EPOCHS = 1000, 60
MANY_STEPS, MANY_EPOCHS, FEWEST_EPOCHS = 10_000, 27, 9
#: Steps before early stopping judges a trial, and validation images without which it judges none: a share of 100 images
#: has a standard deviation of up to 0.05.
GRACE_STEPS, LEAST_VALIDATION = 200, 100
#: Splits that `auto` trains each trial on at most.
MOST_REPEATS = 3
#: Steps an epoch that a batch size leaves at least, if it is not the smallest, and at most, if it is not the largest.
LEAST_STEPS_AN_EPOCH, MOST_STEPS_AN_EPOCH = 10, 750
_BATCH_SIZE = "batch_size"


def with_numbers(spec: StudySpec, dataset: DatasetInfo) -> tuple[StudySpec, Sequence[str]]:
    """Returns a study with a number for each `auto` of its schedule, and sentences for the user.

    Where a schedule has an `auto`, options of `batch_size` that leave fewer than LEAST_STEPS_AN_EPOCH steps an epoch
    are left out of the space, all but the smallest, and so are those that leave more than MOST_STEPS_AN_EPOCH, all but
    the largest, unless `search.start_with` or `search.prior` names them.

    Args:
        spec: The study.
        dataset: Its prepared data.

    Raises:
        InputError: If trials are to train on several splits, and cannot.
    """
    num_train, num_validation = dataset.num_train, dataset.num_validation
    if not spec.schedule.has_auto:
        if spec.schedule.num_splits > 1:
            _demand_repeats(spec, dataset)
        spec, said = _with_first_trials(spec, num_train=num_train)
        return spec, [*said, *_small_epochs(spec.space, num_train=num_train)]
    space, said = _fitting(spec, num_train=num_train)
    steps = math.ceil(num_train / largest_batch(space))
    schedule = spec.schedule
    grace, rivals, repeats = schedule.grace_epochs, schedule.min_rivals, schedule.repeats
    if repeats == "auto":
        repeats, why = _repeats(spec, dataset)
        said += [why] if why else []
    elif repeats > 1:
        _demand_repeats(spec, dataset)
    fewest = max(FEWEST_EPOCHS, 1 if grace == "auto" else grace)
    floors = min(MOST_EPOCHS, math.ceil(LEAST_STEPS / steps)), min(MANY_EPOCHS, math.ceil(MANY_STEPS / steps))
    epochs = max(fewest, *floors)
    if schedule.max_epochs != "auto":
        epochs = schedule.epochs
    else:
        said.append(f"schedule.max_epochs: auto is {epochs}: an epoch has {steps:,} steps")
    if rivals == "auto":
        rivals = max(schedule.rivals, math.ceil(schedule.reduction_factor) if grace == "auto" else 1)
    if grace == "auto":
        grace, why = _grace(epochs, steps=steps, num_validation=num_validation * repeats)
        if schedule.algorithm != "none":
            said.append(f"schedule.grace_epochs: auto is {grace}: {why}")
    numbers = {"max_epochs": epochs, "grace_epochs": grace, "min_rivals": rivals, "repeats": repeats}
    fitting, more = _with_first_trials(spec.model_copy(update={"space": space}), num_train=num_train)
    ties = "loss" if spec.objective.ties == "auto" else spec.objective.ties
    objective = spec.objective.model_copy(update={"ties": ties})
    updates = {"schedule": schedule.model_copy(update=numbers), "objective": objective}
    resolved = fitting.model_copy(update=updates)
    return resolved, [*said, *more, *_small_epochs(space, num_train=num_train)]


def _with_first_trials(spec: StudySpec, *, num_train: int) -> tuple[StudySpec, list[str]]:
    """Returns a study with the values of its first trials, and a sentence about them."""
    wanted, is_grid = spec.search.start_with, spec.search.algorithm == "grid"
    if wanted != "portfolio" and (wanted != "auto" or is_grid or not spec.schedule.has_auto):
        return spec, []
    found = tuple(portfolio_of(spec.space, num_train=num_train))
    search = spec.search.model_copy(update={"start_with": found or "none"})
    if found:
        said = (
            f"search.start_with: {len(found)} variants that were good elsewhere go first, the search goes on from them"
        )
        return spec.model_copy(update={"search": search}), [said]
    return spec.model_copy(update={"search": search}), (
        ["search.start_with: there is no portfolio that fits this space"] if wanted == "portfolio" else []
    )


def _repeats(spec: StudySpec, dataset: DatasetInfo) -> tuple[int, str]:
    """Returns on how many splits each trial trains, and why, in words; no words where it is one as ever."""
    held = dataset.num_validation
    if held >= LEAST_VALIDATION or _obstacle_to_repeats(spec, dataset):
        return 1, ""
    repeats = min(MOST_REPEATS, dataset.most_splits, math.ceil(LEAST_VALIDATION / held))
    if repeats == 1:
        return 1, ""
    return repeats, (
        f"schedule.repeats: auto is {repeats}: {held} validation images leave much to luck, so each trial trains on "
        f"{repeats} splits and its metrics are means over {held * repeats} images, in {repeats} times the steps; 1 "
        "trains on one"
    )


def _demand_repeats(spec: StudySpec, dataset: DatasetInfo) -> None:
    """Raises InputError unless trials can train on as many splits as the study says."""
    repeats = spec.schedule.num_splits
    if why := _obstacle_to_repeats(spec, dataset):
        raise InputError(f"schedule.repeats: each trial has one split, as {why}; got {repeats}, set it to 1")
    if repeats > (most := dataset.most_splits):
        raise InputError(
            f"schedule.repeats: {dataset.num_train:,} training and {dataset.num_validation:,} validation images make "
            f"{most} splits, as no image may validate twice, got {repeats}; lower it, or data.validation_fraction"
        )


def _obstacle_to_repeats(spec: StudySpec, dataset: DatasetInfo) -> str:
    """Returns why a trial can train on one split alone; an empty text if it can train on several."""
    data = spec.data
    own = [family for family in spec.space.families if FAMILIES[family].has_own_parameters]
    gpus = spec.resources.gpus_per_trial
    reasons = {
        "the validation split is one of its own": not dataset.is_validation_carved,
        "data.folds has its own way to several": data.folds is not None,
        "data.group keeps images together": data.group is not None,
        "data.order puts them in an order": data.order is not None,
        "mixup and cutmix draw partners from the first split": data.augment.mixup > 0 or data.augment.cutmix > 0,
        f"models of family {', '.join(own)} may keep state that is not theirs alone": bool(own),
        "losses, metrics and callbacks of your own may keep state": bool(spec.code or spec.callbacks),
        "a trial of a population goes on from another's state of one split": spec.schedule.has_population,
        "each trial has several GPUs": gpus != "auto" and gpus > 1,
    }
    return next((reason for reason, holds in reasons.items() if holds), "")


def largest_batch(space: SearchSpace) -> int:
    """Returns the largest batch size of a space's variants."""
    if _BATCH_SIZE not in space.names:
        return int(TRAINING[_BATCH_SIZE].default)
    domain = space.parameter(_BATCH_SIZE).domain
    return int(domain.high) if isinstance(domain, Int | Float) else max(_sizes(domain))


def _sizes(domain: Choice | Fixed) -> list[int]:
    """Returns the batch sizes of a domain, which `checks` has found to be whole numbers, in ascending order."""
    return sorted(size for size in domain.values() if isinstance(size, int))


def _grace(epochs: int, *, steps: int, num_validation: int) -> tuple[int, str]:
    """Returns the epochs before early stopping judges a trial, and why, in words."""
    if num_validation < LEAST_VALIDATION:
        return epochs, f"{num_validation} validation images are too few to stop a trial early by"
    grace = min(math.ceil(GRACE_STEPS / steps), max(1, epochs // 3))
    return grace, f"early stopping judges no trial before {grace * steps:,} steps"


def _fitting(spec: StudySpec, *, num_train: int) -> tuple[SearchSpace, list[str]]:
    """Returns a study's space without the batch sizes that are too large, and a sentence about them."""
    space = spec.space
    domain = space.parameter(_BATCH_SIZE).domain if _BATCH_SIZE in space.names else None
    # A condition on an option would be on none.
    if not isinstance(domain, Choice) or any(_BATCH_SIZE in parameter.when for parameter in space.parameters):
        return space, []
    sizes = _sizes(domain)
    named = [values[_BATCH_SIZE] for values in (*spec.search.first_values, spec.search.prior) if _BATCH_SIZE in values]
    wanted = [domain.normalise(value) for value in named]
    steps = {size: math.ceil(num_train / size) for size in sizes if size not in wanted}
    large = [size for size in sizes[1:] if steps.get(size, math.inf) < LEAST_STEPS_AN_EPOCH]
    small = [size for size in sizes[:-1] if steps.get(size, 0) > MOST_STEPS_AN_EPOCH]
    if not large and not small:
        return space, []
    kept = Choice([size for size in domain.values() if size not in (*large, *small)])
    parameters = [
        replace(parameter, domain=kept) if parameter.name == _BATCH_SIZE else parameter
        for parameter in space.parameters
    ]
    return replace(space, parameters=parameters), [
        f"space.params.batch_size: {', '.join(map(str, sizes))} left out: {num_train:,} training images make {how} "
        "steps an epoch of them; schedule.max_epochs and grace_epochs as numbers keep them"
        for sizes, how in (
            (large, f"fewer than {LEAST_STEPS_AN_EPOCH}"),
            (small, f"more than {MOST_STEPS_AN_EPOCH}"),
        )
        if sizes
    ]


def _small_epochs(space: SearchSpace, *, num_train: int) -> Iterator[str]:
    size = largest_batch(space)
    steps = math.ceil(num_train / size)
    if steps < LEAST_STEPS_AN_EPOCH:
        yield (
            f"space.params.batch_size: {size} makes {steps} steps an epoch of {num_train:,} training images; a smaller "
            "one learns more in as many epochs"
        )

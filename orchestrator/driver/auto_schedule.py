"""Numbers for each `auto` of a study's schedule, once the images are counted, and batch sizes that fit them."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

from orchestrator.study.spec import StudySpec
from search_spaces import Choice, Fixed, Float, Int, SearchSpace
from trainables.catalog.training import TRAINING

#: Steps that a trial trains at least, where that takes from FEWEST_EPOCHS to MOST_EPOCHS epochs.
STEPS, FEWEST_EPOCHS, MOST_EPOCHS = 1000, 9, 60
#: Steps before early stopping judges a trial, and validation images without which it judges none: a share of 100 images
#: has a standard deviation of up to 0.05.
GRACE_STEPS, LEAST_VALIDATION = 200, 100
#: Steps an epoch that a batch size leaves at least, if it is not the smallest.
LEAST_STEPS_AN_EPOCH = 10
_BATCH_SIZE = "batch_size"


def with_numbers(spec: StudySpec, *, num_train: int, num_validation: int) -> tuple[StudySpec, Sequence[str]]:
    """Returns a study with a number for each `auto` of its schedule, and sentences for the user.

    Where a schedule has an `auto`, options of `batch_size` that leave fewer than LEAST_STEPS_AN_EPOCH steps an epoch
    are left out of the space, all but the smallest.

    Args:
        spec: The study.
        num_train: Its training images.
        num_validation: Its validation images.
    """
    if not spec.schedule.has_auto:
        return spec, list(_small_epochs(spec.space, num_train=num_train))
    space, said = _fitting(spec.space, num_train=num_train)
    steps = math.ceil(num_train / largest_batch(space))
    schedule = spec.schedule
    grace, rivals = schedule.grace_epochs, schedule.min_rivals
    fewest = max(FEWEST_EPOCHS, 1 if grace == "auto" else grace)
    epochs = max(fewest, min(MOST_EPOCHS, math.ceil(STEPS / steps)))
    if schedule.max_epochs != "auto":
        epochs = schedule.epochs
    else:
        said.append(f"schedule.max_epochs: auto is {epochs}: an epoch has {steps:,} steps")
    if rivals == "auto":
        rivals = math.ceil(schedule.reduction_factor) if grace == "auto" else 1
    if grace == "auto":
        grace, why = _grace(epochs, steps=steps, num_validation=num_validation)
        if schedule.algorithm != "none":
            said.append(f"schedule.grace_epochs: auto is {grace}: {why}")
    numbers = {"max_epochs": epochs, "grace_epochs": grace, "min_rivals": rivals}
    resolved = spec.model_copy(update={"space": space, "schedule": schedule.model_copy(update=numbers)})
    return resolved, [*said, *_small_epochs(space, num_train=num_train)]


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


def _fitting(space: SearchSpace, *, num_train: int) -> tuple[SearchSpace, list[str]]:
    """Returns a space without the batch sizes that are too large, and a sentence about them."""
    domain = space.parameter(_BATCH_SIZE).domain if _BATCH_SIZE in space.names else None
    # A condition on an option would be on none.
    if not isinstance(domain, Choice) or any(_BATCH_SIZE in parameter.when for parameter in space.parameters):
        return space, []
    sizes = _sizes(domain)
    left_out = [size for size in sizes[1:] if math.ceil(num_train / size) < LEAST_STEPS_AN_EPOCH]
    if not left_out:
        return space, []
    kept = Choice([size for size in domain.values() if size not in left_out])
    parameters = [
        replace(parameter, domain=kept) if parameter.name == _BATCH_SIZE else parameter
        for parameter in space.parameters
    ]
    return replace(space, parameters=parameters), [
        f"space.params.batch_size: {', '.join(map(str, left_out))} left out: {num_train:,} training images make fewer "
        f"than {LEAST_STEPS_AN_EPOCH} steps an epoch of them; schedule.max_epochs and grace_epochs as numbers keep them"
    ]


def _small_epochs(space: SearchSpace, *, num_train: int) -> Iterator[str]:
    size = largest_batch(space)
    steps = math.ceil(num_train / size)
    if steps < LEAST_STEPS_AN_EPOCH:
        yield (
            f"space.params.batch_size: {size} makes {steps} steps an epoch of {num_train:,} training images; a smaller "
            "one learns more in as many epochs"
        )

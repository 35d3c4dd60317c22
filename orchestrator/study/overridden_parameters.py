"""Parameters of a space that have no effect: another one overrides them, or no target or optimizer heeds them."""

from collections.abc import Iterable, Iterator, Sequence

from search_spaces import Domain, Float, Int, Parameter, Problem, SearchSpace, Value, nearest
from trainables.catalog.families import FAMILIES
from trainables.catalog.training import MODEL, OPTIMIZER_SETTINGS, TARGETS, TRAINING
from trainables.specs.data import DataSpec
from trainables.specs.targets import LOSSES, is_own

_FAMILY = "family"
#: A range of more values is known by its ends.
_MOST_VALUES = 10_000


def replaced_parameter_problems(space: SearchSpace) -> list[Problem]:
    """Returns the parameters that would vary without effect in some variants of the space.

    Args:
        space: Its families, parameters and values are known and allowed.
    """
    return [
        Problem(path=f"space.params.{parameter.name}", message=message)
        for parameter in space.parameters[1:]
        for family in space.families
        if (message := _message(parameter, family, space=space))
    ]


def _message(parameter: Parameter, family: str, *, space: SearchSpace) -> str:
    """Returns what is wrong with a parameter under a family, or an empty string."""
    infos = FAMILIES[family].parameters
    info = infos.get(parameter.name)
    if info is None or info.replaced_by not in space.names:
        return ""
    other = space.parameter(info.replaced_by)
    idle = infos[other.name].default
    beside = _values_beside(parameter, other, family=family, space=space)
    replacing = [value for value in beside if value != idle]
    if not replacing:
        return ""
    shown = list(replacing[0]) if isinstance(replacing[0], tuple) else replacing[0]
    elsewhere = [name for name in space.families if parameter.name in FAMILIES[name].parameters and name != family]
    way_out = "drop one of the two"
    if elsewhere and _FAMILY not in parameter.when:
        way_out = f"add when: {{family: [{', '.join(elsewhere)}]}}, or {way_out}"
    elif idle in beside and isinstance(idle, str):
        way_out = f"add when: {{{other.name}: {idle}}}, or {way_out}"
    return f"family {family!r} ignores it where {other.name} is {shown!r}, got both; {way_out}"


def _some_values(domain: Domain) -> Sequence[Value]:
    """Returns all values of a domain, or the ends of a range that has many."""
    if isinstance(domain, Float | Int) and (domain.size is None or domain.size > _MOST_VALUES):
        return domain.low, domain.high
    return domain.values()


def _values_beside(parameter: Parameter, other: Parameter, *, family: str, space: SearchSpace) -> Sequence[Value]:
    """Returns the values that another parameter can have while the parameter is active under a family."""
    allowed: dict[str, Sequence[Value]] = {_FAMILY: (family,), other.name: _some_values(other.domain)}
    waiting = [parameter, other]
    while waiting:
        for parent, wanted in waiting.pop().when.items():
            # Conditions and domains have their values in one normal form, so equal ones are found.
            allowed[parent] = [value for value in allowed.get(parent, wanted) if value in wanted]
            waiting.append(space.parameter(parent))
    return allowed[other.name] if all(allowed.values()) else ()


def idle_setting_problems(data: DataSpec, space: SearchSpace) -> list[Problem]:
    """Returns the parameters that would change nothing in any variant, and losses that its targets do not have.

    Args:
        data: The data section, with the targets.
        space: Its families are known.
    """
    # What every family hands over to a user's code is none of the training's.
    own = frozenset.intersection(*(FAMILIES[name].hands_over for name in space.families))
    parameters = {parameter.name: parameter for parameter in space.parameters if parameter.name not in own}
    return [
        Problem(path=f"space.params.{name}", message=message)
        for name, message in _messages(data, space, parameters)
        if message
    ]


def _messages(data: DataSpec, space: SearchSpace, parameters: dict[str, Parameter]) -> Iterator[tuple[str, str]]:
    kinds = {target.kind for target in data.target_specs.values()}
    yield "class_weights", _class_weights_problem(data, parameters)
    is_smoothed = bool(_values(parameters, "label_smoothing") - {0})
    if is_smoothed and kinds == {"regression"}:
        yield "label_smoothing", "it has no effect on numbers, got regression targets alone; drop it"
    if data.image_size is not None and not any("image_size" in FAMILIES[name].hands_over for name in space.families):
        yield "image_size", _size_problem(_values(parameters, "image_size"), longer=max(data.image_size))
    losses = _values(parameters, "loss")
    if is_smoothed and losses == {MODEL}:
        yield "label_smoothing", "it has no effect beside loss: model; give it to the model's own loss, or drop it"
    elif is_smoothed and all(is_own(str(loss)) for loss in _effective(losses, data)):
        yield "label_smoothing", "it has no effect on a loss of your own; give it to that loss, or drop it"
    if _values(parameters, "optimizer") == {MODEL}:
        for name in OPTIMIZER_SETTINGS:
            if name in parameters:
                yield name, "it has no effect beside optimizer: model, which has its own; drop one of the two"
    else:
        yield from _optimizer_messages(parameters)
    if _values(parameters, "min_delta") - {0} and _values(parameters, "patience") == {0}:
        yield "min_delta", "it has no effect without patience; add patience: 5 or another number of epochs, or drop it"
    for loss in sorted(losses - {TARGETS}, key=str):
        yield "loss", _loss_problem(str(loss), data, space)


def _class_weights_problem(data: DataSpec, parameters: dict[str, Parameter]) -> str:
    """Returns what is wrong with the weights of classes, or an empty string."""
    values, targets = _values(parameters, "class_weights"), data.target_specs
    kinds = {target.kind for target in targets.values()}
    named = [name for name, target in targets.items() if target.class_weights is not None]
    if "balanced" in values and not kinds & {"classification", "mask"}:
        return f"no target is a classification or mask to balance, got {_listed(kinds)} targets alone; drop it"
    if TARGETS in values and not named:
        return (
            f"targets needs weights by name, got none; write data.targets.{next(iter(targets))}.class_weights: "
            "{cat: 2.0, dog: 1.0} with the names of your classes, or drop it"
        )
    if named and TARGETS not in values:
        return (
            f"data.targets.{named[0]}.class_weights have no effect without it; add class_weights: targets to the space"
        )
    losses = _values(parameters, "loss")
    for name, target in targets.items():
        is_weighted = ("balanced" in values and target.kind == "mask") or (TARGETS in values and name in named)
        if target.kind == "classification" or not is_weighted:
            continue
        weighable = [loss for loss in LOSSES[target.kind] if loss != "dice"]
        used = {target.loss_name if loss == TARGETS else loss for loss in losses}
        if strange := sorted(map(str, used - set(weighable))):
            return (
                f"a {target.kind} target has weights with one of {', '.join(weighable)}, got loss {strange[0]!r}; use "
                "one of these, or drop it"
            )
    return ""


def _optimizer_messages(parameters: dict[str, Parameter]) -> Iterator[tuple[str, str]]:
    optimizers = _values(parameters, "optimizer")
    if "nesterov" in parameters and "sgd" not in optimizers:
        names = " and ".join(sorted(map(str, optimizers)))
        yield "nesterov", f"it has no effect without optimizer: sgd, got {names} alone; add sgd, or drop it"
    elif "nesterov" in parameters and _values(parameters, "momentum") == {0}:
        yield "nesterov", "it has no effect with momentum 0; give sgd a momentum, or drop it"
    clips = [parameters[name] for name in ("clip_norm", "clip_value") if name in parameters]
    if len(clips) == 2 and not any(clip.when or 0 in _values(parameters, clip.name) for clip in clips):
        yield "clip_value", "Keras clips gradients by clip_norm or by clip_value, got both; drop one of the two"


def _size_problem(sizes: Iterable[object], *, longer: int) -> str:
    """Returns what is wrong with sizes that images are shrunk to, or an empty string."""
    too_large = [size for size in sizes if isinstance(size, int) and size > longer]
    if not too_large:
        return ""
    return (
        f"it shrinks images inside the model, got {max(too_large)} for a data.image_size whose longer side is "
        f"{longer}; use {longer} or less, or a larger data.image_size"
    )


def _effective(losses: set[object], data: DataSpec) -> set[object]:
    """Returns all losses that variants may have, of whichever target."""
    named = {target.loss_name for target in data.target_specs.values()}
    return {name for loss in losses for name in (named if loss == TARGETS else (loss,))}


def _loss_problem(loss: str, data: DataSpec, space: SearchSpace) -> str:
    """Returns what is wrong with a loss by name, or an empty string."""
    if loss == MODEL:
        without = [name for name in space.families if not FAMILIES[name].has_own_parameters]
        if without:
            return f"loss: model needs a model of yours, got family {without[0]!r} as well"
        has_masks = any(target.kind == "mask" for target in data.target_specs.values())
        if data.sample_weight is not None and has_masks:
            return (
                f"Keras would lay one weight an image (data.sample_weight {data.sample_weight!r}) on the columns of "
                "pixels of a loss of the model's own; use a loss of data.targets, or drop sample_weight"
            )
        return ""
    if len(data.target_specs) > 1:
        return (
            f"it names the loss of a lone target, got {loss!r} for {len(data.target_specs)}; name them in data.targets"
        )
    (target,) = data.target_specs.values()
    known = LOSSES[target.kind]
    if loss in known or is_own(loss):
        return ""
    return (
        f"a {target.kind} target has one of {', '.join(known)}, {TARGETS}, {MODEL} or module:name, got {loss!r}"
        f"{nearest(loss, known)}; change the domain"
    )


def _values(parameters: dict[str, Parameter], name: str) -> set[object]:
    """Returns the values that a parameter may have; of a continuous one its bounds, of a missing one its default."""
    if name not in parameters:
        return {TRAINING[name].default}
    domain = parameters[name].domain
    return {domain.low, domain.high} if isinstance(domain, Float | Int) else set(domain.values())


def _listed(kinds: Iterable[str]) -> str:
    return " and ".join(sorted(kinds))

"""The pretrained weights that variants of a space can begin with: files with their hashes, and ImageNet's."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from orchestrator.study.input_paths import path_problem
from search_spaces import Choice, Fixed, Parameter, Problem, SearchSpace, Value
from search_spaces.domains.choices import named_values
from trainables.catalog.backbones import BACKBONES, PretrainedBackbone
from trainables.catalog.families import FAMILIES
from trainables.catalog.transfer import IMAGENET, NO_WEIGHTS, WEIGHTS_SHA256
from trainables.errors import InfeasibleError
from trainables.files.weights_file import SUFFIX, weights_path, weights_sha256
from trainables.specs.network_size import network_shape

_FAMILY = "transfer"
_WEIGHTS = "weights"
_PLACE = f"space.params.{_WEIGHTS}"
_SIDES: Sequence[Value] = sorted(
    {side for backbone in BACKBONES.values() for side in (backbone.smallest_side, *backbone.imagenet_sides)}
)
#: The widths and image sides that ImageNet weights exist for, and the smallest sides.
_OF_RANGES: Mapping[str, Sequence[Value]] = {
    "alpha": sorted({alpha for backbone in BACKBONES.values() for alpha in backbone.imagenet_alphas}),
    "image_side": _SIDES,
    "image_size": _SIDES,
}


def with_weights_files(
    space: SearchSpace | None, problems: Sequence[Problem], *, folder: Path
) -> tuple[SearchSpace | None, list[Problem]]:
    """Returns the space with the hashes of its weights files, and the problems with those of these files added.

    With the hashes, a variant's id depends on the weights that it begins with. If the space has hashes already, as in
    the study of a run, the files must have the same ones.

    Args:
        folder: The folder that relative names start from.
    """
    files = list(weights_files(space)) if space is not None else []
    if space is None or not files:
        return space, list(problems)
    found = [message for name in files if (message := _problem(name, folder=folder))]
    if found:
        return space, [*problems, *(Problem(path=_PLACE, message=message) for message in found)]
    try:
        hashes = tuple(weights_sha256(weights_path(name, folder=str(folder))) for name in files)
    except OSError as exc:
        message = f"cannot be read ({exc.strerror}), got {exc.filename!r}; mend its permissions"
        return space, [*problems, Problem(path=_PLACE, message=message)]
    if WEIGHTS_SHA256 in space.names:
        return space, [*problems, *_changes(space, hashes, files=files)]
    added = Parameter(name=WEIGHTS_SHA256, domain=Fixed(hashes), when={_WEIGHTS: tuple(files)})
    return SearchSpace([*space.parameters, added], space.limits), list(problems)


def imagenet_backbones(space: SearchSpace, *, image_size: tuple[int, int]) -> list[PretrainedBackbone]:
    """Returns the backbones that variants can begin with ImageNet weights, once for each of Keras's files.

    Backbones that are infeasible for their width or the images are left out.

    Args:
        image_size: (height, width) of the images.
    """
    found: dict[PretrainedBackbone, None] = {}
    for values in _choices(space, "backbone", "alpha", "image_side", "image_size"):
        if values[_WEIGHTS] != IMAGENET or values["backbone"] not in BACKBONES:
            continue
        name, alpha = values["backbone"], values["alpha"]
        backbone = BACKBONES[name]
        size = _network_size(values, image_size)
        if size is None:
            continue
        height, width = size
        if min(height, width) < backbone.smallest_side or alpha not in (backbone.imagenet_alphas or (1.0,)):
            continue
        has_own_file = height == width and height in backbone.imagenet_sides
        side = height if has_own_file else backbone.smallest_side
        found[PretrainedBackbone(name=name, alpha=alpha, side=side)] = None
    return list(found)


def _network_size(values: Mapping[str, Any], image_size: tuple[int, int]) -> tuple[int, int] | None:
    """Returns the (height, width) that a backbone works on; None where the images are too small for the variant."""
    if values["image_side"]:
        return (values["image_side"],) * 2
    try:
        return network_shape((*image_size, 3), image_size=values["image_size"])[:2]
    except InfeasibleError:
        return None


def weights_files(space: SearchSpace) -> Iterator[str]:
    """Yields the files that weights can be, in the order of the domain."""
    reached = [values[_WEIGHTS] for values in _choices(space)]
    for value in dict.fromkeys(reached):
        if isinstance(value, str) and value not in (NO_WEIGHTS, IMAGENET, ""):
            yield value


def _problem(name: str, *, folder: Path) -> str:
    if not name.endswith(SUFFIX):
        return f"must be {NO_WEIGHTS!r}, {IMAGENET!r} or a file that ends in {SUFFIX}, got {name!r}; change it"
    message = path_problem(name, base=folder)
    if not message and not weights_path(name, folder=str(folder)).is_file():
        return f"expected a file, got the folder {name!r}; name the file in it"
    return message


def _changes(space: SearchSpace, hashes: Sequence[str], *, files: Sequence[str]) -> list[Problem]:
    domain = space.parameter(WEIGHTS_SHA256).domain
    known = named_values(domain) or [str(domain)]
    if known == [tuple(hashes)]:
        return []
    now = ", ".join(hashes)
    then = " or ".join(", ".join(map(str, value)) if isinstance(value, tuple) else str(value) for value in known)
    message = (
        f"was changed since the study was written: {', '.join(files)} has sha256 {now}, expected {then}; restore the "
        f"file, or remove {WEIGHTS_SHA256} and run the study anew: results of other weights cannot be compared"
    )
    return [Problem(path=_PLACE, message=message)]


def _choices(space: SearchSpace, *names: str) -> Iterator[dict[str, Any]]:
    """Yields the combinations of weights and named parameters that variants of the family can have, with defaults."""
    if _FAMILY not in space.families:
        return
    wanted = {"family", _WEIGHTS, *names}
    waiting = [name for name in wanted if name in space.names]
    while waiting:
        parents = set(space.parameter(waiting.pop()).when) - wanted
        wanted |= parents
        waiting += parents
    parameters = [replace(p, domain=_countable(p, space)) for p in space.parameters if p.name in wanted]
    defaults = {name: FAMILIES[_FAMILY].parameters[name].default for name in (_WEIGHTS, *names)}
    for values in SearchSpace(parameters).grid():
        if values["family"] == _FAMILY:
            yield {**defaults, **values}


def _countable(parameter: Parameter, space: SearchSpace) -> Choice | Fixed:
    """Returns a parameter's values that files depend on: of a range, its ends and those with files or conditions."""
    domain = parameter.domain
    if isinstance(domain, Choice | Fixed):
        return domain
    named: list[Value] = [value for other in space.parameters for value in other.when.get(parameter.name, ())]
    named += _OF_RANGES.get(parameter.name, ())
    named += [domain.low, domain.high if domain.size is None else domain.at(domain.size - 1)]
    values = dict.fromkeys(domain.normalise(value) for value in named if domain.contains(value))
    return Choice(list(values))

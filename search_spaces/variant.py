"""Defines a variant, and the id that follows from its content alone."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

from search_spaces.domains.values import Value, canonical, plain
from search_spaces.naming import FAMILY
from search_spaces.problems import Problem, SpaceError, nearest, space_error
from search_spaces.space import SearchSpace

VARIANT_ID_LENGTH = 12
KEYS = ("family", "params", "seed")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Variant:
    """What to train: a family, its active parameters and a seed.

    Two variants are equal when their ids are; the order of the parameters does not matter.

    >>> variant = Variant(family="sequential", params={"filters": 16, "dropout": 0.1}, seed=7)
    >>> variant.variant_id
    '8ac95f5e3f6e'
    >>> variant == Variant(family="sequential", params={"dropout": 0.1, "filters": 16}, seed=7)
    True
    >>> Variant.from_json(variant.to_json()).variant_id == variant.variant_id
    True

    Args:
        family: The name of the model family.
        params: Values by parameter name, active ones only, without the family.
        seed: Seeds every random choice of the training; >= 0.

    Raises:
        SpaceError: If a value is no scalar or flat list of scalars, or the seed is no whole number >= 0.
    """

    family: str
    params: Mapping[str, Value]
    seed: int

    def __post_init__(self) -> None:
        params, problems = _canonical_params(self.params)
        problems = [*_shape_problems(self.family, seed=self.seed), *problems]
        if problems:
            raise space_error(problems)
        object.__setattr__(self, "params", params)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Variant) and self._content() == other._content()

    def __hash__(self) -> int:
        return hash(self._content())

    @property
    def variant_id(self) -> str:
        """12 hexadecimal digits that follow from the content alone."""
        return hashlib.sha256(self._content().encode()).hexdigest()[:VARIANT_ID_LENGTH]

    def to_json(self) -> dict[str, object]:
        """Returns the variant as JSON has it: `family`, `params` (lists for tuples) and `seed`.

        >>> Variant(family="sequential", params={"filters": (16, 32)}, seed=0).to_json()
        {'family': 'sequential', 'params': {'filters': [16, 32]}, 'seed': 0}
        """
        params = {name: plain(value) for name, value in self.params.items()}
        return {"family": self.family, "params": params, "seed": self.seed}

    @classmethod
    def from_json(cls, raw: object) -> "Variant":
        """Returns the variant that `to_json` wrote.

        Raises:
            SpaceError: If the mapping is not such a variant; lists every problem.
        """
        if not isinstance(raw, Mapping):
            raise space_error(
                [Problem(path="variant", message=f"expected a mapping of {', '.join(KEYS)}, got {raw!r}")]
            )
        problems = [
            Problem(path=f"variant.{key}", message=f"unknown key; known are {', '.join(KEYS)}{nearest(key, KEYS)}")
            for key in raw
            if key not in KEYS
        ]
        problems += [
            Problem(path=f"variant.{key}", message="expected a value, got nothing") for key in KEYS if key not in raw
        ]
        if problems:
            raise space_error(problems)
        return cls(family=raw["family"], params=raw["params"], seed=raw["seed"])

    def _content(self) -> str:
        return json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"), allow_nan=False)


def make_variant(space: SearchSpace, values: Mapping[str, object], *, seed: int) -> Variant:
    """Returns the variant of a space that has these values: checked, active ones only, in normal form.

    >>> from search_spaces import space_from_mapping
    >>> space = space_from_mapping({"family": "sequential", "params": {"dropout": {"float": [0, 1]}}})
    >>> make_variant(space, {"family": "sequential", "dropout": 0}, seed=7).params
    {'dropout': 0.0}

    Args:
        values: By parameter name, the family among them. Values of inactive parameters are ignored.

    Raises:
        SpaceError: If the values do not fit the space; lists every problem.
    """
    problems = space.validate(values)
    if problems:
        raise space_error(problems)
    params = {name: space.parameter(name).domain.normalise(value) for name, value in space.active(values).items()}
    family = str(params.pop(FAMILY))
    return Variant(family=family, params=params, seed=seed)


def _shape_problems(family: object, *, seed: object) -> list[Problem]:
    problems: list[Problem] = []
    if not isinstance(family, str) or not family:
        problems.append(Problem(path="variant.family", message=f"expected the name of a family, got {family!r}"))
    if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
        problems.append(Problem(path="variant.seed", message=f"expected a whole number >= 0, got {seed!r}"))
    return problems


def _canonical_params(params: object) -> tuple[dict[str, Value], list[Problem]]:
    """Returns parameters in canonical form, and their problems."""
    if not isinstance(params, Mapping):
        message = f"expected a mapping of names to values, got {params!r}"
        return {}, [Problem(path="variant.params", message=message)]
    found: dict[str, Value] = {}
    problems: list[Problem] = []
    for name, value in params.items():
        if not isinstance(name, str) or name == FAMILY:
            message = f"expected the name of a parameter, got {name!r}"
            problems.append(Problem(path="variant.params", message=message))
        try:
            found[name] = canonical(value)
        except SpaceError as error:
            problems.append(Problem(path=f"variant.params.{name}", message=str(error)))
    return found, problems

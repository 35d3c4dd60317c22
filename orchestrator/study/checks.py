"""What is wrong with a study, said for people: pydantic's findings in our words, and checks across sections."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

from orchestrator.study.custom_parameters import is_own_parameter, own_parameter_complaint
from orchestrator.study.overridden_parameters import replaced_parameter_problems
from search_spaces import Choice, Fixed, Float, Int, Parameter, Problem, SearchSpace, nearest
from trainables.catalog.families import FAMILIES
from trainables.catalog.parameter import ParameterInfo
from trainables.catalog.training import TRAINING

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

    from orchestrator.study.loading import StudySpec

_LONGEST_VALUE = 80


def problems_of(error: ValidationError, model: type[BaseModel]) -> list[Problem]:
    """Returns pydantic's findings, one a place, as problems with what was received and how to fix it."""
    problems: dict[str, Problem] = {}
    items = error.errors(include_url=False)
    for item in items:
        if _is_follow_up(item, items):
            continue
        keys = _keys_of(item, model)
        path = ".".join(keys) or "study"
        for message in _messages(item, keys, model):
            inner = path if item["type"] != "value_error" else _inner_path(path, message)
            text = message if inner == path else message.partition(": ")[2]
            # A union is tried branch by branch; one line a place is enough.
            problems.setdefault(inner, Problem(path=inner, message=text))
    return list(problems.values())


def check_study(spec: "StudySpec | None", *, space: SearchSpace) -> list[Problem]:
    """Returns what does not fit together across sections; without a spec, what the space alone shows."""
    problems = _family_problems(space)
    if not problems:
        problems += [problem for parameter in space.parameters[1:] for problem in _parameter_problems(parameter, space)]
    problems = problems or replaced_parameter_problems(space)
    if spec is None:
        return problems
    problems += _precision_problems(spec)
    search = spec.search
    if search.algorithm == "grid" and space.size is None:
        names = [parameter.name for parameter in space.parameters if parameter.domain.size is None]
        problems.append(
            Problem(
                path="search.algorithm",
                message=f"'grid' needs countable parameters, got the continuous {', '.join(names)}; give them a step, "
                "list their values with choice, or use random or tpe",
            )
        )
    elif search.trials is None and space.size is not None and search.algorithm == "grid" and space.size > _LARGEST_GRID:
        problems.append(
            Problem(
                path="search.trials",
                message=f"the whole grid has {space.size:,} variants; say how many to train, for example trials: 100",
            )
        )
    return problems


def _precision_problems(spec: "StudySpec") -> list[Problem]:
    if "precision" not in spec.space.names or spec.resources.gpus_per_trial:
        return []
    if "mixed_float16" not in spec.space.parameter("precision").domain.values():
        return []
    message = (
        "mixed_float16 needs a GPU, got resources.gpus_per_trial 0; give trials a share of a GPU, or use "
        "mixed_bfloat16 or float32"
    )
    return [Problem(path="space.params.precision", message=message)]


def shown(value: object) -> str:
    """Returns a value as a Python literal, cut short where it is long."""
    text = repr(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}..."


def printable(text: str) -> str:
    r"""Returns a text with control codes and line breaks spelled out: a key of a file must not steer the terminal.

    >>> printable("name\x1b[31m")
    'name\\x1b[31m'
    """
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)


_LARGEST_GRID = 100_000


def _is_follow_up(item: "ErrorDetails", items: Sequence["ErrorDetails"]) -> bool:
    """Returns whether a finding only follows from another one: a list is too short because an item of it is wrong."""
    place = item["loc"]
    is_inside = any(len(other["loc"]) > len(place) and other["loc"][: len(place)] == place for other in items)
    return item["type"] == "default_factory_not_called" or (item["type"] == "too_short" and is_inside)


def _keys_of(item: "ErrorDetails", model: type[BaseModel]) -> list[str]:
    """Returns the keys of the study file that a finding is about, without pydantic's names of union branches."""
    keys: list[str] = []
    current: Any = model
    is_named = False
    for part in item["loc"]:
        if isinstance(part, int):
            keys[-1:] = [f"{keys[-1]}[{part}]"] if keys else [str(part)]
            continue
        if is_named:
            # A name that the user gave, such as a target's; what it names is described by `current`.
            keys.append(str(part))
            is_named = False
            continue
        fields = getattr(current, "model_fields", {})
        if fields and part not in fields and item["type"] != "extra_forbidden":
            continue
        if not fields and keys:
            continue
        keys.append(str(part))
        is_named = part in fields and get_origin(fields[part].annotation) is dict
        current = _model_of(fields[part].annotation) if part in fields else None
    return keys


def _model_of(annotation: Any) -> Any:
    for candidate in (annotation, *get_args(annotation)):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None


def _messages(item: "ErrorDetails", keys: Sequence[str], model: type[BaseModel]) -> list[str]:
    """Returns what to say of one finding: usually one message, several where a section checked itself."""
    received = f"got {shown(item['input'])}"
    example = _example(keys, model)
    if item["type"] == "extra_forbidden":
        known = _known_keys(keys, model)
        return [f"unknown key, {received}{nearest(keys[-1], known) or '; known keys: ' + ', '.join(known)}"]
    if item["type"] == "missing":
        return [f"is required, got nothing; add {keys[-1]}: ...{example}"]
    if item["type"] == "value_error":
        lines = item["msg"].removeprefix("Value error, ").splitlines()
        # A check of one value says only what it must be; a check of a section says everything.
        return [f"{line}, {received}{example}" if line.startswith("must ") else line for line in lines]
    return [f"{_expectation(item, keys, model)}, {received}{_suggestion(item)}{example}"]


def _expectation(item: "ErrorDetails", keys: Sequence[str], model: type[BaseModel]) -> str:
    match item["type"]:
        case "literal_error":
            return f"must be one of {', '.join(_options(item))}"
        case "string_pattern_mismatch":
            return "must be letters, digits, '.', '_' and '-' and not begin with '.' or '-'"
        case "model_type" | "model_attributes_type" | "dict_type":
            return f"must be a mapping with keys such as {', '.join(_known_keys([*keys, ''], model)[:4])}"
        case "tuple_type" | "list_type":
            return "must be a list"
        case "too_short" | "too_long":
            bounds = item["ctx"]
            count, sign = (bounds["min_length"], "least") if "min_length" in bounds else (bounds["max_length"], "most")
            return f"must be a list of at {sign} {count}"
        case _:
            text = item["msg"].replace("Input should be", "must be").replace("String should", "must")
            return f"{text[0].lower()}{text[1:]}"


def _suggestion(item: "ErrorDetails") -> str:
    if item["type"] != "literal_error":
        return ""
    received = str(item["input"])
    return f"; write {received} without quotes" if received in _options(item) else nearest(received, _options(item))


def _options(item: "ErrorDetails") -> list[str]:
    expected = str(item.get("ctx", {}).get("expected", ""))
    return [option.strip("'\"") for option in expected.replace(" or ", ", ").split(", ")]


def _inner_path(path: str, message: str) -> str:
    """Returns the path of a message that names its own field first, as a section's own checks do."""
    name, sign, _ = message.partition(": ")
    return f"{path}.{name}" if sign and name.isidentifier() else path


def _known_keys(keys: Sequence[str], model: type[BaseModel]) -> list[str]:
    current: Any = model
    is_named = False
    for key in keys[:-1]:
        if is_named:
            is_named = False
            continue
        fields = getattr(current, "model_fields", {})
        is_named = key in fields and get_origin(fields[key].annotation) is dict
        current = _model_of(fields[key].annotation) if key in fields else None
    return list(getattr(current, "model_fields", {}))


def _example(keys: Sequence[str], model: type[BaseModel]) -> str:
    current: Any = model
    is_named = False
    for depth, key in enumerate(keys, start=1):
        if is_named:
            is_named = False
            continue
        name = key.partition("[")[0]
        fields = getattr(current, "model_fields", {})
        if name not in fields:
            return ""
        field = fields[name]
        if depth == len(keys) and field.examples:
            return f"; for example {name}: {' or '.join(map(str, field.examples))}"
        is_named = get_origin(field.annotation) is dict
        current = _model_of(field.annotation)
    return ""


def _family_problems(space: SearchSpace) -> list[Problem]:
    return [
        Problem(
            path="space.family",
            message=f"must be one of {', '.join(FAMILIES)}, got {family!r}{nearest(family, FAMILIES)}",
        )
        for family in space.families
        if family not in FAMILIES
    ]


def _parameter_problems(parameter: Parameter, space: SearchSpace) -> list[Problem]:
    path = f"space.params.{parameter.name}"
    families = _families_of(parameter, space)
    if complaint := own_parameter_complaint(parameter, families, space=space):
        return [Problem(path=path, message=complaint)]
    own = [family for family in families if is_own_parameter(parameter.name, family)]
    infos = {family: _info(parameter.name, family) for family in families if family not in own}
    known = {**TRAINING, **{name: info for family in families for name, info in FAMILIES[family].parameters.items()}}
    if not own and not any(infos.values()):
        close = nearest(parameter.name, known) or f"; it has {', '.join(known)}"
        owner = " or ".join(map(repr, families))
        return [Problem(path=path, message=f"family {owner} has no parameter {parameter.name!r}{close}")]
    strangers = [family for family, info in infos.items() if info is None]
    if strangers:
        owners = [family for family in families if family not in strangers]
        condition = owners[0] if len(owners) == 1 else f"[{', '.join(owners)}]"
        return [
            Problem(
                path=path,
                message=f"family {' and '.join(map(repr, strangers))} does not have it, got it without a condition; "
                f"add when: {{family: {condition}}}",
            )
        ]
    complaints = {
        complaint: None
        for info in infos.values()
        if info is not None
        for value in _extremes(parameter)
        if (complaint := info.complaint(value))
    }
    return [Problem(path=path, message=f"{complaint}; change the domain") for complaint in complaints]


def _info(name: str, family: str) -> ParameterInfo | None:
    return FAMILIES[family].parameters.get(name) or TRAINING.get(name)


def _families_of(parameter: Parameter, space: SearchSpace) -> list[str]:
    """Returns the families under which a parameter can be active."""
    allowed = list(space.families)
    for parent, values in parameter.when.items():
        if parent == "family":
            allowed = [family for family in allowed if family in values]
        else:
            of_parent = _families_of(space.parameter(parent), space)
            allowed = [family for family in allowed if family in of_parent]
    return allowed


def _extremes(parameter: Parameter) -> Iterable[object]:
    match parameter.domain:
        case Float(low=low, high=high) | Int(low=low, high=high):
            return (low, high)
        case Fixed() | Choice():
            return parameter.domain.values()

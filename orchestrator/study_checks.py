"""What is wrong with a study, said for people: pydantic's findings in our words, and checks across sections."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, get_args

from pydantic import BaseModel, ValidationError

from search_spaces import Choice, Fixed, Float, Int, Parameter, Problem, SearchSpace, nearest
from trainables.families import FAMILIES
from trainables.families.parameters import TRAINING, ParameterInfo

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

    from orchestrator.study import StudySpec

_LONGEST_VALUE = 80


def problems_of(error: ValidationError, model: type[BaseModel]) -> list[Problem]:
    """Returns pydantic's findings, one a place, as problems with what was received and how to fix it."""
    problems: dict[str, Problem] = {}
    for item in error.errors(include_url=False):
        if item["type"] == "default_factory_not_called":
            continue  # a follow-up of another finding
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
    if spec is None:
        return problems
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


_LARGEST_GRID = 100_000


def _keys_of(item: "ErrorDetails", model: type[BaseModel]) -> list[str]:
    """Returns the keys of the study file that a finding is about, without pydantic's names of union branches."""
    keys: list[str] = []
    current: Any = model
    for part in item["loc"]:
        if isinstance(part, int):
            keys[-1:] = [f"{keys[-1]}[{part}]"] if keys else [str(part)]
            continue
        fields = getattr(current, "model_fields", {})
        if fields and part not in fields and item["type"] != "extra_forbidden":
            continue
        if not fields and keys:
            continue
        keys.append(str(part))
        current = _model_of(fields[part].annotation) if part in fields else None
    return keys


def _model_of(annotation: Any) -> Any:
    for candidate in (annotation, *get_args(annotation)):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None


def _messages(item: "ErrorDetails", keys: Sequence[str], model: type[BaseModel]) -> list[str]:
    """Returns what to say of one finding: usually one message, several where a section checked itself."""
    received = f"got {_shown(item['input'])}"
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
            options = _options(item)
            return "must be auto or a whole number" if options == ["auto"] else f"must be one of {', '.join(options)}"
        case "string_pattern_mismatch":
            return "must be letters, digits, '.', '_' and '-' and not begin with '.' or '-'"
        case "model_type" | "model_attributes_type" | "dict_type":
            return f"must be a mapping with keys such as {', '.join(_known_keys([*keys, ''], model)[:4])}"
        case _:
            text = item["msg"].replace("Input should be", "must be").replace("String should", "must")
            return f"{text[0].lower()}{text[1:]}"


def _suggestion(item: "ErrorDetails") -> str:
    return nearest(str(item["input"]), _options(item)) if item["type"] == "literal_error" else ""


def _options(item: "ErrorDetails") -> list[str]:
    expected = str(item.get("ctx", {}).get("expected", ""))
    return [option.strip("'\"") for option in expected.replace(" or ", ", ").split(", ")]


def _inner_path(path: str, message: str) -> str:
    """Returns the path of a message that names its own field first, as a section's own checks do."""
    name, sign, _ = message.partition(": ")
    return f"{path}.{name}" if sign and name.isidentifier() else path


def _known_keys(keys: Sequence[str], model: type[BaseModel]) -> list[str]:
    current: Any = model
    for key in keys[:-1]:
        fields = getattr(current, "model_fields", {})
        current = _model_of(fields[key].annotation) if key in fields else None
    return list(getattr(current, "model_fields", {}))


def _example(keys: Sequence[str], model: type[BaseModel]) -> str:
    current: Any = model
    for key in keys:
        fields = getattr(current, "model_fields", {})
        if key not in fields:
            return ""
        field = fields[key]
        if field.examples:
            shown = " or ".join(str(example) for example in field.examples)
            return f"; for example {key}: {shown}"
        current = _model_of(field.annotation)
    return ""


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}..."


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
    infos = {family: _info(parameter.name, family) for family in families}
    known = {**TRAINING, **{name: info for family in families for name, info in FAMILIES[family].parameters.items()}}
    if not any(infos.values()):
        close = nearest(parameter.name, known) or f"; it has {', '.join(known)}"
        return [Problem(path=path, message=f"no parameter of family {' or '.join(map(repr, families))}{close}")]
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

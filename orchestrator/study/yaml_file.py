"""Reads YAML that people write: no silent duplicates, mistakes with their line, overrides of the command line."""

from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

import yaml

from orchestrator.errors import InputError, StudyFileError
from trainables.files.weights_file import SUFFIX
from trainables.specs.data import PATH_FIELDS

MAX_SIZE_BYTES = 1_000_000
#: More bits than the largest float has, and few enough to show the number in a message.
_LONGEST_NUMBER_BITS = 1100
_LONGEST_LINE = 60


class _StrictLoader(yaml.SafeLoader):
    """A safe loader that refuses a key given twice instead of dropping the first, and aliases.

    Aliases can make a huge value of a short file.
    """

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            name = str(key.value)
            if name in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {name!r} is given twice; remove one of them", key.start_mark
                )
            seen.add(name)
        return super().construct_mapping(node, deep)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            value = super().construct_object(node, deep)
        except (ValueError, KeyError, AttributeError, IndexError, TypeError) as exc:
            # PyYAML raises these for a value whose tag, such as !!int, does not fit its text.
            reason = f" ({exc})" if isinstance(exc, ValueError) else f" as {node.tag.rpartition(':')[2]}"
            text = f"the value cannot be read{reason}; correct it, or put it in quotes to make it text"
            raise yaml.constructor.ConstructorError(None, None, text, node.start_mark) from exc
        if isinstance(value, int) and value.bit_length() > _LONGEST_NUMBER_BITS:
            text = f"the number has {len(node.value)} digits; no value of a study is that large, correct it"
            raise yaml.constructor.ConstructorError(None, None, text, node.start_mark)
        return value

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            mark = self.get_event().start_mark  # type: ignore[no-untyped-call]
            text = "aliases (*name) are not allowed in a study file; write the value out"
            raise yaml.constructor.ConstructorError(None, None, text, mark)
        return super().compose_node(parent, index)


class _PlainDumper(yaml.SafeDumper):
    """Writes what a study file may hold: paths as texts, NumPy's numbers as Python's, no aliases."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def represent_data(self, data: Any) -> yaml.Node:
        if isinstance(data, PurePath):
            data = str(data)
        elif type(data).__module__ == "numpy" and getattr(data, "ndim", 1) == 0:
            data = data.item()
        return super().represent_data(data)


def mapping_as_yaml(mapping: Mapping[str, Any], *, where: str) -> str:
    """Returns the text of a study file that says what a dictionary says.

    Raises:
        StudyFileError: If a value is none that YAML has, or holds itself.
    """
    try:
        return str(yaml.dump(dict(mapping), Dumper=_PlainDumper, sort_keys=False, allow_unicode=True))
    except yaml.representer.RepresenterError as exc:
        value = exc.args[-1]
        raise StudyFileError(
            f"{where}: expected texts, numbers, true, false, None, lists and dictionaries, got {value!r:.60} of type "
            f"{type(value).__name__}; write it as one of these"
        ) from exc
    except RecursionError as exc:
        raise StudyFileError(f"{where}: a dictionary or list in it holds itself; write the value out") from exc


def read_study_file(path: Path) -> str:
    """Returns the text of a study file.

    Raises:
        StudyFileError: If the file is not text, too large, or cannot be read.
    """
    try:
        if path.stat().st_size > MAX_SIZE_BYTES:
            raise StudyFileError(
                f"{path}: is larger than {MAX_SIZE_BYTES:,} bytes; a study file is a few lines of YAML"
            )
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as exc:
        raise StudyFileError(f"{path}: is not UTF-8 text (byte {exc.start}); save it as UTF-8 YAML") from exc
    except OSError as exc:
        raise StudyFileError(f"{path}: cannot be read ({exc.strerror}); check its permissions") from exc


def parse_yaml(text: str, *, where: str) -> Any:
    """Returns the value of a YAML text.

    Raises:
        StudyFileError: With line and column of a mistake.
    """
    try:
        return yaml.load(text, Loader=_StrictLoader)
    except yaml.MarkedYAMLError as exc:
        raise StudyFileError(f"{where}{_explained(exc, text)}") from exc
    except RecursionError as exc:
        raise StudyFileError(f"{where}: not YAML (nested too deeply); a study file is a few levels deep") from exc
    except yaml.YAMLError as exc:
        reason = str(exc).splitlines()[0] if str(exc) else type(exc).__name__
        raise StudyFileError(f"{where}: not YAML ({reason}); save it as plain UTF-8 text") from exc


def _explained(error: yaml.MarkedYAMLError, text: str) -> str:
    """Returns place, reason, the line in question and a fix."""
    mark = error.problem_mark or error.context_mark
    problem = error.problem or error.context or "not YAML"
    reason = f"{error.context}, {problem}" if error.context and problem.startswith("but ") else problem
    lines = text.splitlines()
    place = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
    line = lines[mark.line].rstrip() if mark and mark.line < len(lines) else ""
    received = f", got {line[:_LONGEST_LINE]!r}" if line else ""
    if ";" in reason:
        return f"{place}: {reason}"
    fix = "indent with spaces, not tabs" if "'\\t'" in reason else "check indentation, quotes and brackets there"
    return f"{place}: {reason}{received}; {fix}"


def apply_overrides(text: str, overrides: Sequence[str], *, where: str) -> Any:
    """Returns the study file's mapping with `key=value` overrides set.

    A relative path in an override starts at the current folder, not at the study file's.

    Raises:
        StudyFileError: If the text is not YAML.
        InputError: If an override cannot be set.
    """
    mapping = parse_yaml(text, where=where)
    for override in overrides:
        key, sign, raw = override.partition("=")
        keys = key.strip().split(".")
        if not sign or not all(keys):
            raise InputError(f"--set {override}: expected key=value, for example --set schedule.max_epochs=3")
        if not isinstance(mapping, dict):
            break  # `parse_study` raises the error
        value = parse_yaml(raw, where=f"--set {override}")
        if keys == ["reuse"] and isinstance(value, list):
            value = [str(Path.cwd() / item) if _is_path(keys, item) else item for item in value]
        elif _is_path(keys, value):
            value = str(Path.cwd() / value)
        _set(mapping, keys, value, override=override)
    return mapping


def _is_path(keys: Sequence[str], value: object) -> bool:
    """Returns whether an override is a path that may be relative."""
    if not isinstance(value, str) or value[:1] in ("", "~"):
        return False
    is_weights = keys == ["space", "params", "weights"] and value.endswith(SUFFIX)
    return is_weights or keys == ["reuse"] or (keys[0] == "data" and keys[-1] in PATH_FIELDS)


def _set(mapping: dict[Any, Any], keys: Sequence[str], value: Any, *, override: str) -> None:
    for depth, key in enumerate(keys[:-1]):
        inner = mapping.setdefault(key, {})
        if key == "space" and isinstance(inner, str):
            # `space: cnn-small` is short for a base without changes.
            inner = mapping[key] = {"base": inner}
        if key == "storage" and isinstance(inner, str):
            inner = mapping[key] = {"uri": inner}
        if inner is None:
            inner = mapping[key] = {}
        if not isinstance(inner, dict):
            path = ".".join(keys[: depth + 1])
            raise InputError(f"--set {override}: {path} is {inner!r}, which has no keys; set {path} as a whole")
        mapping = inner
    mapping[keys[-1]] = value

"""Reading YAML that people write: no silent duplicates, mistakes with their line, overrides from the command line."""

from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Any

import yaml

from orchestrator.errors import InputError, StudyFileError
from trainables.spec import PATH_FIELDS

MAX_SIZE_BYTES = 1_000_000


class _StrictLoader(yaml.SafeLoader):
    """A safe loader that refuses a key given twice instead of dropping the first, and aliases that multiply."""

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

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            mark = self.get_event().start_mark  # type: ignore[no-untyped-call]
            text = "aliases (*name) are not allowed in a study file; write the value out"
            raise yaml.constructor.ConstructorError(None, None, text, mark)
        return super().compose_node(parent, index)


def read_study_file(path: Path) -> str:
    """Returns the text of a study file.

    Raises: StudyFileError: if it cannot be read as text.
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
    """Returns what a YAML text says.

    Raises: StudyFileError: naming line and column of a mistake.
    """
    try:
        return yaml.load(text, Loader=_StrictLoader)
    except yaml.MarkedYAMLError as exc:
        mark = exc.problem_mark or exc.context_mark
        place = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        reason = exc.problem or exc.context or "not YAML"
        raise StudyFileError(f"{where}{place}: {reason}") from exc
    except (yaml.YAMLError, RecursionError, ValueError) as exc:
        reason = str(exc).splitlines()[0] if str(exc) else type(exc).__name__
        raise StudyFileError(f"{where}: not YAML ({reason})") from exc


def apply_overrides(text: str, overrides: Sequence[str], *, where: str) -> Any:
    """Returns the study file's mapping with `key=value` overrides set.

    A relative path given this way starts at the current folder, not at the study file's.

    Raises: StudyFileError: if the text is not YAML; InputError: if an override cannot be set.
    """
    mapping = parse_yaml(text, where=where)
    for override in overrides:
        key, sign, raw = override.partition("=")
        keys = key.strip().split(".")
        if not sign or not all(keys):
            raise InputError(f"--set {override}: expected key=value, for example --set schedule.max_epochs=3")
        if not isinstance(mapping, dict):
            raise StudyFileError(f"{where}: expected a mapping with name, data and space, got {mapping!r}")
        value = parse_yaml(raw, where=f"--set {override}")
        if keys[0] == "data" and keys[-1] in PATH_FIELDS and isinstance(value, str):
            value = str(Path.cwd() / Path(value).expanduser())
        _set(mapping, keys, value, override=override)
    return mapping


def _set(mapping: dict[Any, Any], keys: Sequence[str], value: Any, *, override: str) -> None:
    for depth, key in enumerate(keys[:-1]):
        inner = mapping.setdefault(key, {})
        if key == "space" and isinstance(inner, str):
            # `space: cnn-small` is short for a base without changes.
            inner = mapping[key] = {"base": inner}
        if inner is None:
            inner = mapping[key] = {}
        if not isinstance(inner, dict):
            path = ".".join(keys[: depth + 1])
            raise InputError(f"--set {override}: {path} is {inner!r}, which has no keys; set {path} as a whole")
        mapping = inner
    mapping[keys[-1]] = value

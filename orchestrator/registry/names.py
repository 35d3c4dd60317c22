"""Names of models and aliases, numbers of versions, and how a text names one version of a model."""

import re
from collections.abc import Iterable

from orchestrator.errors import RegistryError
from orchestrator.text import shown

#: The alias of the version that is in use, unless the user says another.
PRODUCTION = "production"
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
_NUMBER = re.compile(r"[0-9]{1,9}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_MOST_NAMED = 12


def is_model_name(name: str) -> bool:
    """Returns whether a model may have a name.

    >>> is_model_name("digits-v2"), is_model_name("digits/2"), is_model_name("-v")
    (True, False, False)
    """
    return _NAME.fullmatch(name) is not None


def check_model_name(name: str) -> str:
    """Returns a name that a model may have.

    >>> check_model_name("digits-v2")
    'digits-v2'

    Raises:
        RegistryError: If it may not have it.
    """
    if not is_model_name(name):
        raise RegistryError(
            "name: must be 1 to 100 letters, digits, '_', '-' or '.', not beginning with '-' or '.', "
            f"got {shown(name)}; for example digits"
        )
    return name


def check_alias(alias: str) -> str:
    """Returns a name that an alias may have.

    >>> check_alias("production")
    'production'

    Raises:
        RegistryError: If it may not have it.
    """
    if not _NAME.fullmatch(alias) or _NUMBER.fullmatch(alias):
        raise RegistryError(
            "alias: must be 1 to 100 letters, digits, '_', '-' or '.', not beginning with '-' or '.' and not a number, "
            f"got {shown(alias)}; for example {PRODUCTION}"
        )
    return alias


def version_number(text: object) -> int | None:
    """Returns the number of a version that a text or a number gives; None if it gives none.

    >>> version_number("3"), version_number(3), version_number("production"), version_number("0"), version_number(True)
    (3, 3, None, None, None)
    """
    if isinstance(text, bool):
        return None
    number = int(text) if isinstance(text, int) or (isinstance(text, str) and _NUMBER.fullmatch(text)) else 0
    return number if number > 0 else None


def is_plain_path(name: object) -> bool:
    """Returns whether a file's name, a path with slashes, stays below its folder.

    >>> is_plain_path("saved_model/saved_model.pb"), is_plain_path("../model.keras"), is_plain_path("/etc/passwd")
    (True, False, False)
    """
    if not isinstance(name, str) or "\0" in name or "\\" in name:
        return False
    return not {"", ".", ".."} & set(name.split("/"))


def is_sha256(text: object) -> bool:
    """Returns whether a value is a sha256 in lower hexadecimal digits."""
    return isinstance(text, str) and _SHA256.fullmatch(text) is not None


def what_there_is(name: object, known: Iterable[object], *, kind: str) -> str:
    """Returns the end of a message about an unknown name: the nearest known one, and which there are.

    >>> what_there_is("digit", ["digits", "flowers"], kind="models")
    "; did you mean 'digits'? models: digits, flowers"
    >>> what_there_is("digits", [], kind="models")
    '; models: none so far'
    """
    # Late: only errors need it, and it brings a reader of YAML.
    from search_spaces import nearest

    names = [str(item) for item in known]
    hint = nearest(name, names) or ";"
    rest = f" and {len(names) - _MOST_NAMED:,} more" if len(names) > _MOST_NAMED else ""
    return f"{hint} {kind}: {', '.join(names[:_MOST_NAMED]) or 'none so far'}{rest}"

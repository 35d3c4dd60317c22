"""Reads the built-in search spaces: one YAML file each, whose comments state source, size and expected results."""

from importlib import resources

from search_spaces.problems import SpaceError, nearest


def builtin_names() -> tuple[str, ...]:
    """Returns the names of the built-in spaces, sorted.

    >>> builtin_names()[:2]
    ('cnn-deep', 'cnn-small')
    """
    files = (file.name for file in resources.files(__name__).iterdir())
    return tuple(sorted(name.removesuffix(".yaml") for name in files if name.endswith(".yaml")))


def builtin_text(name: str) -> str:
    """Returns a built-in space as YAML text, comments included; ready to be copied and changed.

    Raises:
        SpaceError: If no built-in space has that name.
    """
    names = builtin_names()
    if name not in names:
        raise SpaceError(f"no built-in space is called {name!r}; there are {', '.join(names)}{nearest(name, names)}")
    return resources.files(__name__).joinpath(f"{name}.yaml").read_text(encoding="utf-8")

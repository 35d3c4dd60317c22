"""The versions of the packages that decide a study's numbers."""

import platform
from importlib.metadata import PackageNotFoundError, version

PACKAGES = ("convfleet", "tensorflow", "keras", "ray", "optuna", "numpy", "pyarrow")


def versions() -> dict[str, str]:
    """Returns the versions of Python and of the packages whose numbers matter, without importing them."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found

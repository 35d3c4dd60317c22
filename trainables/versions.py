"""Lists the versions of the packages that a study's numbers depend on."""

import platform
from importlib.metadata import PackageNotFoundError, version

PACKAGES = ("convfleet", "tensorflow", "keras", "ray", "optuna", "numpy", "pyarrow", "pillow")


def versions() -> dict[str, str]:
    """Returns the versions of Python and of the packages in PACKAGES, without importing them."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found

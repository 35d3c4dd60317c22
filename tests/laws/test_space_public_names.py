"""The public face of the package: its names, and that it needs no framework."""

import subprocess
import sys

import search_spaces

HEAVY = ("tensorflow", "keras", "ray", "optuna", "pyarrow", "numpy", "pydantic")


def test_public_names_are_these() -> None:
    assert search_spaces.__all__ == [
        "Choice",
        "Domain",
        "Fixed",
        "Float",
        "Int",
        "Parameter",
        "Problem",
        "Scalar",
        "SearchSpace",
        "SpaceError",
        "Value",
        "Variant",
        "builtin_names",
        "builtin_text",
        "make_variant",
        "nearest",
        "parse_space",
        "portfolio_of",
        "space_error",
        "space_from_mapping",
        "space_to_mapping",
    ]
    assert all(hasattr(search_spaces, name) for name in search_spaces.__all__)


def test_using_spaces_imports_no_framework() -> None:
    code = (
        "import sys, search_spaces\n"
        "search_spaces.space_from_mapping('cnn-small')\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

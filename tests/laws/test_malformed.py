"""At least 300 malformed or odd files and tables are given to sources, of every source that reads files.

Each case ends in a sentence that names the file, or in what the file holds. What a source refuses ends the command line
with exit code 2: see tests/e2e/test_failures_are_data.py.
"""

import importlib.util
import math
from pathlib import Path

DATA = Path(__file__).parents[1] / "trainables" / "data"

#: The fewest malformed or odd inputs that the tests of a file give to sources.
LEAST = {
    "cache/test_mask_files.py": 9,
    "records/test_bad_shards.py": 60,
    "records/test_idx_and_cifar.py": 27,
    "sources/test_malformed.py": 160,
    "sources/test_torn_files.py": 140,
    "tables/test_bad_tables.py": 55,
}


def cases_of(path: Path) -> int:
    """Returns how many cases the tests of a file have that are marked as malformed inputs."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    marks = [getattr(test, "pytestmark", []) for name, test in vars(module).items() if name.startswith("test_")]
    return sum(
        math.prod(len(mark.args[1]) for mark in own if mark.name == "parametrize")
        for own in marks
        if any(mark.name == "malformed" for mark in own)
    )


def test_sources_are_given_more_than_300_malformed_or_odd_inputs():
    marked = {path for path in DATA.rglob("test_*.py") if "mark.malformed" in path.read_text(encoding="utf-8")}
    counts = {path.relative_to(DATA).as_posix(): cases_of(path) for path in marked}
    assert counts.keys() == LEAST.keys()
    assert {name: count for name, count in counts.items() if count < LEAST[name]} == {}
    assert sum(counts.values()) >= 300

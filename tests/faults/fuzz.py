"""Mangles many study files and run folders: `python tests/faults/fuzz.py --study-files 5000 --run-folders 500`.

The long form of test_fuzz_study_files.py and test_fuzz_run_folders.py, with plain seeds, so that each case can be run
again by itself: `--seed N --study-files 1`.
"""

import argparse
import random
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[2]), str(Path(__file__).parents[1] / "helpers")]

from test_fuzz_run_folders import make_runs, read_mangled  # noqa: E402
from test_fuzz_study_files import load_mangled, mangled_study  # noqa: E402


def fuzz(what: str, *, times: int, seed: int, one: Callable[[random.Random], str]) -> int:
    """Plays so many cases, prints what came of them and returns how many were wrong."""
    found: Counter[str] = Counter()
    for number in range(seed, seed + times):
        try:
            found[one(random.Random(number))] += 1
        except Exception as exc:  # noqa: BLE001 - whatever is raised here is what is looked for
            found["WRONG"] += 1
            place = traceback.extract_tb(exc.__traceback__)[-1]
            print(f"{what} seed {number}: {type(exc).__name__}: {str(exc)[:300]} ({place.filename}:{place.lineno})")
    print(f"{what}: {times} from seed {seed}: {dict(found.most_common())}", flush=True)
    return found["WRONG"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--study-files", type=int, default=0)
    parser.add_argument("--run-folders", type=int, default=0)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    given = parser.parse_args()
    print(f"seed {given.seed}", flush=True)
    wrong = fuzz(
        "study files",
        times=given.study_files,
        seed=given.seed,
        one=lambda chance: load_mangled(mangled_study(chance)),
    )
    if given.run_folders:
        with tempfile.TemporaryDirectory() as folder:
            runs = make_runs(Path(folder))
            wrong += fuzz(
                "run folders",
                times=given.run_folders,
                seed=given.seed,
                one=lambda chance: read_mangled(runs, chance),
            )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

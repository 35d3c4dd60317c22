"""Computes the reference rows in a child process of low priority: a tenth of what a worker gets of a core."""

import os
import resource
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from trainables.machine.child_process import answer_caller, ask_child
from trainables.progress import OnProgress, no_progress
from trainables.specs.dataset import DatasetInfo

#: The seconds of a core that the child may take, before the system ends it.
CPU_SECONDS = 300
_LOW_PRIORITY = 10
_SESSION_PRIORITY = Path("/proc/self/autogroup")
#: What makes NumPy's and scikit-learn's libraries use one thread; read when they are loaded.
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def references_in_process(dataset: DatasetInfo) -> dict[str, Any]:
    """Returns what a child process found: `rows` as `reference_rows` returns them, and `seconds`.

    Args:
        dataset: A data set that is prepared on this node.

    Raises:
        DataError: The child failed, or took too long.
    """
    answer = ask_child(
        "trainables.references.in_process",
        {"dataset": dataset.to_json()},
        what="the process that computes the reference rows",
        on_progress=no_progress,
    )
    return dict(answer)


def main() -> int:
    """Answers one request of `references_in_process`."""
    os.nice(_LOW_PRIORITY)
    with suppress(OSError):
        # Where Linux groups processes by session, a priority counts within it alone, and the child has its own.
        _SESSION_PRIORITY.write_text(str(_LOW_PRIORITY))
    os.environ.update(dict.fromkeys(_ONE_THREAD, "1"))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    return answer_caller(_references)


def _references(request: Any, _: OnProgress) -> Any:
    # Late: they bring NumPy, which reads the number of threads above, and image libraries.
    from trainables.data.cache.dataset import open_dataset
    from trainables.references.guesses import reference_rows

    began = time.monotonic()
    rows = reference_rows(open_dataset(DatasetInfo.from_json(request["dataset"])))
    return {"rows": rows, "seconds": round(time.monotonic() - began, 2)}


if __name__ == "__main__":
    sys.exit(main())

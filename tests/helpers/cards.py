"""The NVIDIA card of this machine, as nvidia-smi tells it; tests that need one are skipped in words without it."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from trainables.machine.gpus import GPU_ADVICE, gpu_memory_mib

_SEEN = "import tensorflow as tf; print(len(tf.config.list_physical_devices('GPU')))"
_USED = ["nvidia-smi", "--query-compute-apps=pid,used_memory", "--format=csv,noheader,nounits"]
_LOOK_SECONDS = 0.5


@dataclass
class Card:
    """The smallest GPU of this machine.

    Attributes:
        total_mib: Its memory.
        most_mib: What each process held at most while somebody looked, by pid.
    """

    total_mib: int
    most_mib: dict[int, int] = field(default_factory=dict)

    @contextmanager
    def looked_at(self) -> Iterator[None]:
        """Looks at what processes hold of it meanwhile, twice a second."""
        self.most_mib, is_over = {}, threading.Event()

        def look() -> None:
            while not is_over.wait(_LOOK_SECONDS):
                for pid, mib in self.used_mib().items():
                    self.most_mib[pid] = max(mib, self.most_mib.get(pid, 0))

        thread = threading.Thread(target=look)
        thread.start()
        try:
            yield
        finally:
            is_over.set()
            thread.join()

    def used_mib(self) -> dict[int, int]:
        """Returns what each process holds of the cards, by pid."""
        said = subprocess.run(_USED, capture_output=True, text=True, check=True).stdout
        pairs = (line.split(",") for line in said.splitlines())
        return {int(pid): int(mib) for pid, mib in pairs if mib.strip().isdigit()}


def missing() -> str:
    """Returns why no test can use a card here; an empty text if one can."""
    if not gpu_memory_mib():
        return "no NVIDIA card: nvidia-smi does not answer with one"
    done = subprocess.run([sys.executable, "-c", _SEEN], capture_output=True, text=True, check=False)
    if done.returncode or done.stdout.split()[-1:] in ([], ["0"]):
        return f"nvidia-smi has a card, and TensorFlow sees none; {GPU_ADVICE}"
    return ""


@pytest.fixture(scope="session")
def card() -> Card:
    """The card; without one, the test is skipped."""
    if reason := missing():
        pytest.skip(reason)
    return Card(total_mib=min(gpu_memory_mib().values()))

"""Cores are kept busy for a while, and no longer."""

import os
from pathlib import Path

import pytest

from trainables.machine.busy import busy_beside


def children() -> set[str]:
    pid = os.getpid()
    return set(Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split())


def fail_beside(count: int) -> None:
    before = children()
    with busy_beside(count):
        raise KeyError(len(children() - before))


@pytest.mark.parametrize("count", [0, 2])
def test_processes_are_busy_within_and_gone_afterwards_whatever_happened(count: int) -> None:
    before = children()
    with pytest.raises(KeyError) as failed:
        fail_beside(count)
    assert failed.value.args == (count,)
    assert children() == before

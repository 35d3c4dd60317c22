"""The short form of kills.py: workers, drivers and a node die at random moments, and nothing is lost."""

import random

import kills
import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("kills")


@pytest.fixture(scope="module")
def calm(folder, joined_commands):
    return kills.undisturbed(folder, joined_commands(folder))


@pytest.fixture
def generator():
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    return random.Random(seed)


@pytest.mark.parametrize(
    ("kill", "count"),
    [(kills.kill_workers, 2), (kills.kill_drivers, 2), (kills.kill_nodes, 1)],
    ids=["workers", "drivers", "nodes"],
)
def test_study_whose_processes_are_killed_ends_like_an_undisturbed_one(folder, calm, generator, kill, count):
    outcome = kill(folder, count=count, generator=generator, calm=calm)
    assert outcome.num_done >= count
    assert outcome.num_differing == 0

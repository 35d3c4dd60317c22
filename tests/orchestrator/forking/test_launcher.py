"""Which workers may be forks, from the arguments that Ray starts them with."""

import json
import sys

import pytest

from orchestrator.forking.launcher import forkable

PROGRAM = "/ray/default_worker.py"


def arguments(*more: str, **context: object) -> list[str]:
    """A worker's arguments as Ray writes them."""
    return [PROGRAM, "--language=PYTHON", f"--serialized-runtime-env-context={json.dumps(context)}", *more]


@pytest.mark.parametrize(
    ("given", "variables"),
    [
        ([PROGRAM, "--language=PYTHON"], {}),
        (arguments(), {}),
        (arguments(command_prefix=[], env_vars={}, py_executable=None, java_jars=[]), {}),
        (arguments(env_vars={"A": "b"}, py_executable=sys.executable), {"A": "b"}),
        (arguments("--worker-type=WORKER"), {}),
    ],
)
def test_a_plain_worker_may_be_a_fork(given, variables):
    assert forkable(given) == variables


@pytest.mark.parametrize(
    "given",
    [
        [PROGRAM],
        [PROGRAM, "--language=JAVA"],
        ["-S", PROGRAM, "--language=PYTHON"],
        arguments("--worker-type=SPILL_WORKER"),
        arguments(py_executable="/elsewhere/python"),
        arguments(command_prefix=["nice"]),
        arguments(override_worker_entrypoint="/container/default_worker.py"),
        arguments(env_vars={"PATH": "/more:${PATH}"}),
    ],
)
def test_a_worker_that_is_to_be_started_in_its_own_way_is_no_fork(given):
    assert forkable(given) is None

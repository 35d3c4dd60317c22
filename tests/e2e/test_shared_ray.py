"""The shared Ray of these tests: its workers are forks for every job, and programs where nothing can be forked."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import job_launcher
import pytest

#: A job of the shared Ray: says if its worker had TensorFlow ahead of its first task, and which job each believes in.
JOB = """
import json, sys, ray
ray.init(address=sys.argv[1], log_to_driver=False)
# As with actors of Ray Tune, an environment of its own makes it a worker of this job from its start.
@ray.remote(runtime_env={"env_vars": {"OF_THE_JOB": "yes"}})
def looked():
    import os, sys
    return "tensorflow" in sys.modules, ray.get_runtime_context().get_job_id(), os.environ["RAY_JOB_ID"]
print(json.dumps([*ray.get(looked.remote()), ray.get_runtime_context().get_job_id()]))
"""


@pytest.mark.slow
def test_workers_of_every_job_are_forks_that_know_their_job(shared_ray: SimpleNamespace) -> None:
    environment = {**os.environ, **shared_ray.environment}
    jobs = set()
    for _ in range(2):
        command = [sys.executable, "-c", JOB, shared_ray.address]
        result = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        is_fork, *known = json.loads(result.stdout.splitlines()[-1])
        assert is_fork
        assert len(set(known)) == 1
        jobs |= set(known)
    assert len(jobs) == 2


def test_a_worker_that_nobody_forks_is_a_program_of_its_own(tmp_path: Path) -> None:
    program = tmp_path / "setup.py"
    program.write_text("import sys; print('a program', *sys.argv[1:])", encoding="utf-8")
    variables = {"RAY_JOB_ID": "01000000", "CONVFLEET_RAY_SETUP_WORKER": str(program)}
    result = subprocess.run(
        [sys.executable, job_launcher.__file__, "worker.py", "--language=PYTHON"],
        env={**os.environ, **variables, job_launcher.JOB_SERVERS: str(tmp_path / "nobody")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout == "a program worker.py --language=PYTHON\n"

"""The real command line in a folder of its own: real processes, a real Ray, small studies on scikit-learn's digits."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
CONVFLEET = (sys.executable, "-c", "from orchestrator.cli.app import main; main()")

SMALL_STUDY: dict[str, Any] = {
    "seed": 3,
    "data": {"source": "digits"},
    "space": {
        "family": "sequential",
        "params": {
            "num_blocks": {"int": [1, 2]},
            "filters": {"choice": [4, 8]},
            "learning_rate": {"float": [1e-3, 1e-1], "log": True},
        },
    },
    "search": {"algorithm": "random", "trials": 4},
    "schedule": {"algorithm": "none", "max_epochs": 3},
    "export": {"top": 0},
    # A process of its own for two seconds of a core; tests of the rows ask for them.
    "references": False,
}

#: A process without this package that says of each export on its standard input what it finds in it.
PLAIN = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("convfleet", "orchestrator", "trainables", "search_spaces"):
            raise ImportError(name + " is not installed here")
sys.meta_path.insert(0, Blocker())
import json, warnings, keras, numpy as np, tensorflow as tf
def say(folder):
    manifest = json.load(open(folder + "/manifest.json"))
    images = {
        named["name"]: np.random.default_rng(place).uniform(0, 255, [3, *named["shape"][1:]]).astype("float32")
        for place, named in enumerate(manifest["inputs"])
    }
    given = images if len(images) > 1 else next(iter(images.values()))
    predicted = keras.models.load_model(folder + "/model.keras").predict(given, verbose=0)
    signature = tf.saved_model.load(folder + "/saved_model").signatures["serving_default"]
    served = signature(**{name: tf.constant(values) for name, values in images.items()})
    yield f"signature {sorted(signature.structured_input_signature[1])} {sorted(served)}"
    for named in manifest["outputs"]:
        alone = predicted[named["name"]] if isinstance(predicted, dict) else predicted
        assert list(alone.shape[1:]) == named["shape"][1:], named
        yield f"{named['name']} {float(np.abs(alone - served[named['name']]).max()) < 1e-5}"
for line in sys.stdin:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            said = list(say(line.strip()))
    except Exception as error:
        said = [f"error {error!r}"]
    print(json.dumps(said), flush=True)
"""


@dataclass
class CommandLine:
    """Runs `convfleet` in a folder of its own."""

    folder: Path
    environment: dict[str, str]
    started: list[subprocess.Popen[str]] = field(default_factory=list)
    #: What runs; a test may put constants that fit it into the program.
    program: tuple[str, ...] = CONVFLEET
    #: Options that make `run`, `resume`, `export` and `ensemble` join a Ray.
    address: tuple[str, ...] = ()

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        joins = self.address if arguments[0] in {"run", "resume", "export", "ensemble"} else ()
        process = subprocess.Popen(
            [*self.program, *arguments, *joins],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.started.append(process)
        return process

    def run(self, *arguments: str, code: int = 0) -> str:
        """Returns what was printed, after checking the exit code and that there was no traceback."""
        return self.finish(self.start(*arguments), code=code)

    def finish(self, process: subprocess.Popen[str], *, code: int = 0) -> str:
        output, errors = process.communicate(timeout=850)
        assert process.returncode == code, f"exit code {process.returncode}\n{output}\n{errors}"
        assert "Traceback" not in errors
        return output + (errors if code else "")

    def close(self) -> None:
        for process in self.started:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def write_study(self, name: str, **changes: Any) -> str:
        """Writes a small study on digits and returns its file's name; `changes` replace whole sections."""
        text = yaml.safe_dump({"name": name, **SMALL_STUDY, **changes})
        (self.folder / f"{name}.yaml").write_text(text, encoding="utf-8")
        return f"{name}.yaml"

    def records(self, study: str, kind: str | None = None) -> list[dict[str, Any]]:
        """Returns the whole records of a run's journal as they stand on disk."""
        path = self.folder / "runs" / study / "journal.jsonl"
        lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
        records = [json.loads(line) for line in lines]
        return [record for record in records if kind in (None, record["type"])]

    def wait_for(self, study: str, kind: str, count: int, process: subprocess.Popen[str]) -> None:
        """Waits until the journal holds so many records of a kind."""
        end = time.monotonic() + 600
        while len(self.records(study, kind)) < count:
            assert process.poll() is None, f"ended early:\n{process.communicate()}"
            assert time.monotonic() < end, f"fewer than {count} records of {kind}"
            time.sleep(0.05)

    def reports(self, study: str) -> dict[tuple[str, int], dict[str, float]]:
        """Returns the metrics by (trial, epoch), after checking that no report is doubled or missing."""
        found: dict[tuple[str, int], dict[str, float]] = {}
        for record in self.records(study, "epoch_reported"):
            key = (record["trial"], record["report"]["epoch"])
            assert key not in found, f"{key} is reported twice"
            assert key[1] == 1 or (key[0], key[1] - 1) in found, f"the report before {key} is missing"
            found[key] = record["report"]["metrics"]
        return found


@pytest.fixture(scope="session")
def cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def make_command_line(cache_folder: Path) -> Iterator[Any]:
    made: list[CommandLine] = []

    def make(folder: Path) -> CommandLine:
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "CONVFLEET_CACHE": str(cache_folder),
            "COLUMNS": "160",
        }
        made.append(CommandLine(folder=folder, environment=environment))
        return made[-1]

    yield make
    for command_line in made:
        command_line.close()


@pytest.fixture
def convfleet(tmp_path: Path, make_command_line: Any) -> Iterator[CommandLine]:
    command_line: CommandLine = make_command_line(tmp_path)
    yield command_line
    command_line.close()


@pytest.fixture(scope="session")
def plain_keras() -> Iterator[subprocess.Popen[str]]:
    """A process without this package that loads exports with Keras and TensorFlow alone."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    with subprocess.Popen(
        [sys.executable, "-c", PLAIN], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process
        assert process.stdin is not None
        process.stdin.close()


@pytest.fixture
def told_by_plain_keras(plain_keras: subprocess.Popen[str]) -> Any:
    """Returns what a process without this package says of an export: its signature, and if both formats agree."""

    def tell(folder: Path) -> list[str]:
        assert plain_keras.stdin is not None
        assert plain_keras.stdout is not None
        plain_keras.stdin.write(f"{folder}\n")
        plain_keras.stdin.flush()
        answer: list[str] = json.loads(plain_keras.stdout.readline())
        return answer

    return tell


@pytest.fixture(scope="session")
def shared_ray() -> Iterator[SimpleNamespace]:
    """One Ray for studies of which something else than Ray's start and end is tested: its address and environment."""
    # Not below pytest's own folder: the names of Ray's sockets may have 107 letters in all.
    folder = tempfile.mkdtemp(prefix="r")
    environment = {"RAY_TMPDIR": folder, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0123456789abcdef" * 4}
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("shared_ray.py"))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        start_new_session=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    address = next(line.split()[1] for line in process.stdout if line.startswith("address"))
    yield SimpleNamespace(address=address, environment=environment)
    process.stdin.close()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(30)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def make_joined(make_command_line: Any, shared_ray: SimpleNamespace) -> Any:
    """Makes a command line in a folder of its own, whose runs join the shared Ray."""

    def make(folder: Path) -> CommandLine:
        command_line: CommandLine = make_command_line(folder)
        command_line.environment.update(shared_ray.environment)
        command_line.address = ("--address", shared_ray.address)
        return command_line

    return make


@pytest.fixture
def joined(tmp_path: Path, make_joined: Any) -> Iterator[CommandLine]:
    """The command line, whose runs join the shared Ray."""
    command_line: CommandLine = make_joined(tmp_path)
    yield command_line
    command_line.close()

"""What tests of several packages share: TensorFlow as in a worker with one CPU, and a local S3 that can fail."""

import os
import random
import re
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

ROOT = Path(__file__).parents[1]

#: Fixtures of samples that tests of several rooms share; they lie in tests/helpers.
pytest_plugins = [
    "open_journals",
    "record_samples",
    "training_samples",
    "source_samples",
    "command_lines",
    "python_process",
    "folder_exports",
    "hosts",
    "cards",
    "early_failures",
]

# Several threads add up in any order. Read when TensorFlow is first used, by whichever test of a process comes first.
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds `--long`: tests that sample take the many samples of their long form, and tests marked long are run."""
    parser.addoption(
        "--long",
        action="store_true",
        help="Take the long form of tests that sample, and tests marked long (hours in all).",
    )


#: Fixtures of the shared Ray, of the processes that use it and of the run that was made in it.
SHARED = ("shared_ray", "joined", "make_joined", "joined_commands", "calm_rows", "run_python", "told_by_plain_keras")
SHARING = re.compile(rf"def \w+\([^)]*\b(?:{'|'.join(SHARED)})\b")


@cache
def sharing(path: str) -> bool:
    """Returns whether a file has tests that use the shared Ray, or what depends on it."""
    return SHARING.search((ROOT / path).read_text(encoding="utf-8")) is not None


#: Folders whose tests share a Ray among themselves. It would start again in another process: each group has its own.
GROUPS = {
    "docs": "pages and studies",
    "e2e": "pages and studies",
    "faults": "faults and kept",
    "formats": "faults and kept",
}


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Gives a process whole files, and one process all files of a group that share a Ray."""
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            path: str = super()._split_scope(nodeid)
            return GROUPS.get(path.split("/")[1], path) if sharing(path) else path

    return Scheduling(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begins with the files that share a Ray, then with others of slow tests: no process has a long one at the end.

    Tests that are marked long are left to `--long`.
    """
    if left := [item for item in items if item.get_closest_marker("long") and not config.getoption("--long")]:
        config.hook.pytest_deselected(items=left)
        items[:] = [item for item in items if item not in left]
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    shared = {path for path in slow if sharing(str(path.relative_to(ROOT)))}
    items.sort(key=lambda item: (item.path not in shared, item.path not in slow))


@pytest.fixture(scope="session")
def is_long(request: pytest.FixtureRequest) -> bool:
    """Whether tests that sample take the many samples of their long form."""
    return bool(request.config.getoption("--long"))


@dataclass(kw_only=True)
class Faults:
    """What goes wrong with requests to an object store; a seeded share of them."""

    generator: random.Random
    error_share: float = 0.0
    slow_share: float = 0.0
    slow_seconds: float = 0.0
    num_failed: int = 0
    num_slow: int = 0

    def draw(self) -> tuple[str, float]:
        """Returns the status to fail with, or nothing, and the seconds to wait before the answer."""
        failed, slow = self.generator.random() < self.error_share, self.generator.random() < self.slow_share
        self.num_failed += failed
        self.num_slow += slow
        status = self.generator.choice(["500 Internal Server Error", "503 Slow Down"]) if failed else ""
        return status, self.slow_seconds if slow else 0.0


@dataclass(kw_only=True)
class ObjectStore:
    """A local S3 with one bucket for a test, and a say in what goes wrong."""

    address: str
    bucket: str
    faults: Faults

    def uri(self, path: str = "runs") -> str:
        """Returns the URI of a place in the bucket; it carries no credentials."""
        return f"s3://{self.bucket}/{path}?endpoint_override={self.address}&scheme=http&region=us-east-1"


@pytest.fixture(scope="session")
def object_server() -> Iterator[tuple[str, dict[str, Faults]]]:
    """A local S3 in front of which requests fail or are slow, as the faults of their bucket say."""
    from moto.server import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Quiet(WSGIRequestHandler):
        def log(self, *arguments: object, **named: object) -> None:
            """Says nothing."""

    inner, faults = DomainDispatcherApplication(create_backend_app), {}

    def application(environ: dict[str, Any], start_response: Any) -> Any:
        bucket = environ["PATH_INFO"].split("/")[1]
        status, seconds = faults[bucket].draw() if bucket in faults else ("", 0.0)
        if seconds:
            threading.Event().wait(seconds)
        if status:
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            start_response(status, [("Content-Length", "0")])
            return [b""]
        return inner(environ, start_response)

    server = make_server("127.0.0.1", 0, application, threaded=True, request_handler=Quiet)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"127.0.0.1:{server.server_port}", faults
    server.shutdown()
    thread.join()


@pytest.fixture
def object_store(object_server: tuple[str, dict[str, Faults]], monkeypatch: pytest.MonkeyPatch) -> ObjectStore:
    """A bucket of its own in a local S3."""
    import boto3

    address, faults = object_server
    for name, value in {
        "AWS_ACCESS_KEY_ID": "tester",
        "AWS_SECRET_ACCESS_KEY": "not-a-secret",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    bucket = f"b{uuid.uuid4().hex[:12]}"
    boto3.client("s3", endpoint_url=f"http://{address}").create_bucket(Bucket=bucket)
    seed = random.randrange(10_000)
    print(f"seed of faults: {seed}")
    faults[bucket] = Faults(generator=random.Random(seed))
    return ObjectStore(address=address, bucket=bucket, faults=faults[bucket])


# How long an example takes says nothing here: machines are shared.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

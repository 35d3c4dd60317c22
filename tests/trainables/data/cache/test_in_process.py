"""Preparation in a process of its own: its news, its errors, and that it never outlives its caller."""

import ast
import os
import select
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from trainables.data.cache.dataset import open_dataset
from trainables.data.cache.in_process import dataset_on_this_node, prepare_in_process
from trainables.errors import DataError
from trainables.specs.data import DataSpec

ROOT = Path(__file__).resolve().parents[4]

USER_MODULE = """
import os, pathlib, signal, sys, time
import numpy as np

def load():
    print("users may print")
    return np.arange(320).reshape(20, 4, 4) % 251, np.arange(20) % 2

def crashes():
    print("the last words", file=sys.stderr, flush=True)
    os._exit(7)

def is_killed():
    os.kill(os.getpid(), signal.SIGKILL)

def hangs():
    (pathlib.Path(__file__).parent / "pid").write_text(str(os.getpid()))
    print("hanging", flush=True)
    time.sleep(300)
"""


@pytest.fixture
def spec(tmp_path):
    (tmp_path / "child_module.py").write_text(USER_MODULE)

    def of(function):
        return DataSpec(source="python", function=f"child_module:{function}", cache_dir="cache").resolved(tmp_path)

    return of


def test_result_and_news_come_from_the_child(spec):
    news = []
    info = prepare_in_process(spec("load"), 3, on_progress=lambda *told: news.append(told))
    assert open_dataset(info).train.images.shape == (20, 4, 4, 1)
    assert ("decoding train images", 20, 20) in news
    assert "child_module" not in sys.modules


def test_working_directory_does_not_shadow_modules(tmp_path, spec, monkeypatch):
    here = tmp_path / "here"
    here.mkdir()
    (here / "filelock.py").write_text("raise RuntimeError('shadowed')")
    monkeypatch.chdir(here)
    assert prepare_in_process(spec("load"), 3).task.targets[0].size == 2


def test_data_error_crosses_with_its_message(tmp_path):
    with pytest.raises(DataError) as caught:
        prepare_in_process(DataSpec(source="npz", path="none.npz").resolved(tmp_path), 0)
    assert str(caught.value).startswith(f"data.path: cannot read {tmp_path}/none.npz: No such file or directory; check")


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("crashes", "ended with exit code 7; its last lines were:\nthe last words"),
        ("is_killed", "was killed by signal 9 (out of memory?); its last lines were:\nit wrote nothing to stderr"),
    ],
)
def test_crash_is_told_with_the_last_words(function, message, spec):
    with pytest.raises(DataError) as caught:
        prepare_in_process(spec(function), 0)
    assert message in str(caught.value)


CALLER = """
import signal, sys
# Whoever runs these tests in the background may have it ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
from trainables.data.cache.in_process import dataset_on_this_node, prepare_in_process
from trainables.specs.data import DataSpec
spec = DataSpec.model_validate_json(sys.argv[1])
try:
    prepare_in_process(spec, 0, on_progress=lambda *news: print(*news, flush=True))
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_child_ends_with_its_caller(how, spec, tmp_path):
    os.mkfifo(tmp_path / "pid")  # reading waits until the child has written
    caller = subprocess.Popen(
        [sys.executable, "-c", CALLER, spec("hangs").model_dump_json()],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert caller.stdout.readline() == "calling the function 0 1\n"
    child = int((tmp_path / "pid").read_text())
    assert os.getsid(child) == child  # so that Ctrl-C at the terminal does not reach it
    descriptor = os.pidfd_open(child)
    caller.send_signal(how)
    said = caller.communicate(timeout=30)[0]
    assert said == ("interrupted\n" if how == signal.SIGINT else "")
    wait_for_end(descriptor)


def wait_for_end(descriptor):
    """Returns when the process has ended."""
    assert select.select([descriptor], [], [], 30)[0]
    os.close(descriptor)


def test_caller_imports_nothing_heavy():
    script = (
        "import sys, trainables.data.cache.in_process, trainables.data.cache.dataset, trainables.data.cache.prepare\n"
        "print(*{'tensorflow', 'keras', 'pyarrow', 'sklearn', 'ray'} & set(sys.modules))"
    )
    said = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ).stdout  # fmt: skip
    assert said.strip() == ""


def test_keras_is_imported_by_one_function_only():
    importers = []
    for path in sorted((ROOT / "trainables" / "data" / "sources").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            importers += [path.name for name in names if name.split(".")[0] in {"keras", "tensorflow"}]
    assert importers == ["keras_sets.py"]


def test_node_with_other_decoders_and_other_pixels_is_named_with_both(spec, monkeypatch):
    fields = spec("load")
    driver = replace(prepare_in_process(fields, 3), folder="/gone", fingerprint="other", decoders={"pillow": "1"})
    worker = SimpleNamespace(dataset=driver, data=fields, split_seed=3)
    with pytest.raises(DataError, match=r"read other images .*: this node has .*pillow .*, expected 1"):
        dataset_on_this_node(worker)


def test_node_without_the_data_is_named_with_what_it_lacks(spec):
    fields = spec("load")
    driver = replace(prepare_in_process(fields, 3), folder="/gone")
    gone = fields.model_copy(update={"function_dir": "/gone"})
    worker = SimpleNamespace(dataset=driver, data=gone, split_seed=3)
    with pytest.raises(
        DataError, match=r"^node .+: .*/gone.*; the driver has read this data: give every node the same"
    ):
        dataset_on_this_node(worker)

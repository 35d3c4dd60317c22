"""Several processes that prepare equal data decode it once, and a killed one hinders nobody."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from filelock import FileLock

ROOT = Path(__file__).resolve().parents[4]

BUILDER = """
import json, sys, time
from trainables.data.cache.prepare import prepare_dataset
from trainables.specs.data import DataSpec

def progress(stage, done, total):
    if stage.startswith("decoding"):
        print("decoding", flush=True)
        time.sleep(float(sys.argv[3]))

info = prepare_dataset(DataSpec(**json.loads(sys.argv[1]), cache_dir=sys.argv[2]), 0, progress=progress)
print(info.fingerprint, flush=True)
"""


def builder(fields, cache, *, seconds):
    return subprocess.Popen(
        [sys.executable, "-c", BUILDER, json.dumps(fields), str(cache), str(seconds)],
        stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip


def test_concurrent_builders_decode_once(fields_of, tmp_path, entries):
    builders = [builder(fields_of("decoded"), tmp_path / "cache", seconds=0.5) for _ in range(4)]
    said = [process.communicate(timeout=60)[0].split() for process in builders]
    assert all(process.returncode == 0 for process in builders)
    assert sum(words.count("decoding") for words in said) == 1
    assert len({words[-1] for words in said}) == 1
    entry = tmp_path / "cache" / entries()[0]
    decoder = next(process.pid for process, words in zip(builders, said, strict=True) if "decoding" in words)
    assert json.loads((entry / "manifest.json").read_text())["builder_pid"] == decoder


@pytest.mark.parametrize("storage", ["decoded", "encoded"])
def test_killed_builder_leaves_nothing_that_hinders(storage, fields_of, tmp_path, prepare, entries):
    process = builder(fields_of(storage), tmp_path / "cache", seconds=60)
    assert process.stdout.readline() == "decoding\n"
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    assert [".building-" in name for name in entries()] == [True]
    info = prepare(**fields_of(storage)).info
    assert (info.storage, entries()) == (storage, [info.key])


def test_leftovers_of_other_keys_go_only_when_nobody_builds_them(npz, tmp_path, prepare, entries):
    for key in ("dead", "dead-encoded", "alive", "alive-encoded"):
        (tmp_path / "cache" / f"{key}.building-x").mkdir(parents=True)
    (tmp_path / "cache" / "locks").mkdir()
    with FileLock(tmp_path / "cache" / "locks" / "alive.lock"):
        info = prepare(source="npz", path=str(npz)).info
    assert entries() == sorted(["alive.building-x", "alive-encoded.building-x", info.key])


def test_waiting_for_another_builder_is_told(npz, tmp_path, prepare):
    info = prepare(source="npz", path=str(npz)).info
    lock = FileLock(tmp_path / "cache" / "locks" / f"{info.key}.lock", thread_local=False)
    lock.acquire()
    stages = []

    def progress(stage, done, total):
        stages.append(stage)
        if stage.startswith("waiting"):
            lock.release()

    started = time.monotonic()
    prepare(source="npz", path=str(npz), progress=progress)
    assert "waiting for another process to prepare this data" in stages
    assert time.monotonic() - started < 30

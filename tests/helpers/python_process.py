"""A Python process, joined to the shared Ray, that runs the code of pages and docstrings as it stands."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from command_lines import ROOT

#: Runs each code on its standard input, alone in a fresh module, and says what it printed and how it failed.
#: `run_study` uses a Ray that its caller is connected to. The packaged quickstart has a few epochs: what it learns is
#: not the matter there.
RUNNER = """
import contextlib, io, json, os, sys, traceback
import ray
from orchestrator.study import loading
find = loading._find_study
def find_short(source):
    text, *others = find(source)
    if source == "quickstart":
        assert "max_epochs: 12" in text
        text = text.replace("max_epochs: 12", "max_epochs: 3") + "resources: {max_concurrent: 1}\\n"
    return text, *others
loading._find_study = find_short
ray.init(address=sys.argv[1], log_to_driver=False)
for line in sys.stdin:
    given = json.loads(line)
    os.chdir(given["folder"])
    printed, failed = io.StringIO(), ""
    with contextlib.redirect_stdout(printed):
        try:
            exec(compile(given["code"], given["name"], "exec"), {"__name__": "__main__"})
        except BaseException:
            failed = traceback.format_exc()
    print(json.dumps([printed.getvalue(), failed]), flush=True)
"""


@pytest.fixture(scope="session")
def run_python(shared_ray: SimpleNamespace, cache_folder: Path) -> Iterator[Callable[..., str]]:
    """Runs code in a folder, in one process that has done so before, and returns what it printed."""
    environment = {
        **os.environ,
        **shared_ray.environment,
        "PYTHONPATH": str(ROOT),
        "CONVFLEET_CACHE": str(cache_folder),
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    with subprocess.Popen(
        [sys.executable, "-c", RUNNER, shared_ray.address],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None

        def run(code: str, *, name: str, folder: Path) -> str:
            process.stdin.write(json.dumps({"code": code, "name": name, "folder": str(folder)}) + "\n")
            process.stdin.flush()
            printed, failed = json.loads(process.stdout.readline())
            assert not failed, f"{name}: {failed}"
            return str(printed)

        yield run
        process.stdin.close()

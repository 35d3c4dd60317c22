"""Optuna's dashboard on the same trials, which convfleet wrote as a journal of Optuna's."""

import socket
import subprocess
from pathlib import Path

from dashboards.browsers import browser, middle
from dashboards.servers import other_dashboard

_PROGRAM = "from optuna_dashboard._cli import main; main()"
_PAGES = {
    "trials": ("/trials", {"list": """document.evaluate("boolean(//*[normalize-space(.)='Trial 3'])",
        document, null, XPathResult.BOOLEAN_TYPE, null).booleanValue"""}),
    "study": ("", {"history": "[...document.querySelectorAll('.js-plotly-plot')].some("
                              "e => e.data?.some(t => t.x?.length > 100))"}),
}  # fmt: skip


def is_installed(python: str) -> bool:
    """Returns whether a Python has Optuna's dashboard."""
    return subprocess.run([python, "-c", "import optuna_dashboard"], capture_output=True, check=False).returncode == 0


def write_journal(run: Path) -> Path:
    """Returns the run's `optuna.journal`, written if it is not there."""
    from orchestrator.journal.reading import read_state
    from orchestrator.results.optuna_journal import write_optuna_journal
    from orchestrator.runs.paths import RunFolder
    from orchestrator.study.loading import load_study

    folder = RunFolder(run)
    if not folder.optuna.exists():
        write_optuna_journal(folder, state=read_state(folder), space=load_study(folder.study).space)
    return folder.optuna


def optuna_rows(run: Path, *, python: str, tries: int, log: Path) -> list[tuple[str, str]]:
    """Returns what was measured, by name."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [python, "-c", _PROGRAM, str(write_journal(run)), "--storage-class", "JournalFileStorage",
               "--port", str(port), "--quiet"]  # fmt: skip
    with other_dashboard(command, port=port, log=log) as server, browser() as window:
        found = [("server listens after, s", f"{server.start_seconds:.1f}")]
        _, reading = server.get("/api/studies/0")
        found.append(("first answer with all trials, s", f"{reading:.1f}"))
        for page, (path, things) in _PAGES.items():
            try:
                times = [window.seen(f"{server.address}/dashboard/studies/0{path}", things) for _ in range(tries + 1)]
            except TimeoutError as exc:
                found.append((f"page of {page}", f"given up: {exc}"))
                continue
            for name in things:
                found.append((f"page of {page}, {name}: first visit, s", f"{times[0][name]:.2f}"))
                found.append((f"page of {page}, {name}: later, s", middle([t[name] for t in times[1:]], digits=2)))
        found.append(("memory after these pages, MB", f"{server.memory_mb():.0f}"))
    return found

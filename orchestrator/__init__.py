"""Which variants are trained, where and when, and what became of them.

The package's public functions, loaded when first used so that `convfleet --help` stays quick:

    load_study(path) -> StudySpec
    run_study(spec) -> StudyResult
    resume_study(folder) -> StudyResult
    open_run(folder) -> StudyResult
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orchestrator.driver.api import resume_study, run_study
    from orchestrator.driver.result import StudyResult, open_run
    from orchestrator.study.loading import load_study
    from orchestrator.study.spec import StudySpec

_HOMES = {
    "StudySpec": "orchestrator.study.loading",
    "load_study": "orchestrator.study.loading",
    "StudyResult": "orchestrator.driver.result",
    "open_run": "orchestrator.driver.result",
    "run_study": "orchestrator.driver.runner",
    "resume_study": "orchestrator.driver.runner",
}

__all__ = ["StudyResult", "StudySpec", "load_study", "open_run", "resume_study", "run_study"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'orchestrator' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)

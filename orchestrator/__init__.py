"""Which variants are trained, where and when, and what became of them.

The package has the public names of `convfleet` too; each is imported when first used, so that `convfleet --help` stays
quick.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orchestrator.draft.drafting import study_for
    from orchestrator.driver.api import ensemble_study, export_study, open_run, resume_study, run_study
    from orchestrator.driver.result import StudyResult
    from orchestrator.errors import InputError, OrchestratorError, StudyFailedError, StudyPausedError
    from orchestrator.fleet.fleet import models
    from orchestrator.inference.evaluating import evaluate_export
    from orchestrator.inference.predicting import predict_images
    from orchestrator.registry.registry import Registry
    from orchestrator.study.loading import load_study
    from orchestrator.study.spec import StudySpec

    __version__: str

_HOMES = {
    "InputError": "orchestrator.errors",
    "OrchestratorError": "orchestrator.errors",
    "Registry": "orchestrator.registry.registry",
    "StudyFailedError": "orchestrator.errors",
    "StudyPausedError": "orchestrator.errors",
    "StudyResult": "orchestrator.driver.result",
    "StudySpec": "orchestrator.study.spec",
    "ensemble_study": "orchestrator.driver.api",
    "evaluate_export": "orchestrator.inference.evaluating",
    "export_study": "orchestrator.driver.api",
    "load_study": "orchestrator.study.loading",
    "models": "orchestrator.fleet.fleet",
    "open_run": "orchestrator.driver.api",
    "predict_images": "orchestrator.inference.predicting",
    "resume_study": "orchestrator.driver.api",
    "run_study": "orchestrator.driver.api",
    "study_for": "orchestrator.draft.drafting",
}

__all__ = [
    "InputError",
    "OrchestratorError",
    "Registry",
    "StudyFailedError",
    "StudyPausedError",
    "StudyResult",
    "StudySpec",
    "__version__",
    "ensemble_study",
    "evaluate_export",
    "export_study",
    "load_study",
    "models",
    "open_run",
    "predict_images",
    "resume_study",
    "run_study",
    "study_for",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("convfleet")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

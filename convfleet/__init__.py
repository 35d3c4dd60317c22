"""Trains a fleet of CNN variants with Ray Tune and TensorFlow and keeps the best.

The public names, each imported when first used, so that `import convfleet` takes no time:

    >>> import convfleet
    >>> study = convfleet.load_study("quickstart")
    >>> study.num_trials, study.objective.metric
    (16, 'val_accuracy')
"""

from typing import TYPE_CHECKING, Any

import orchestrator

if TYPE_CHECKING:
    from orchestrator import (
        InputError,
        OrchestratorError,
        Registry,
        StudyFailedError,
        StudyPausedError,
        StudyResult,
        StudySpec,
        ensemble_study,
        evaluate_export,
        export_study,
        load_study,
        models,
        open_run,
        predict_images,
        resume_study,
        run_study,
        study_for,
    )

    __version__: str

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
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(orchestrator, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

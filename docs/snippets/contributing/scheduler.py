"""A scheduler without a mind, for orchestrator/tuning/schedulers.py."""

from orchestrator.study.spec import StudySpec
from orchestrator.tuning.listener import TuneListener
from orchestrator.tuning.schedulers import SCHEDULERS, RecordedFifo


def make_patient(spec: StudySpec, listener: TuneListener) -> RecordedFifo:
    """Returns a scheduler that stops no trial."""
    return RecordedFifo(listener)


SCHEDULERS["patient"] = make_patient

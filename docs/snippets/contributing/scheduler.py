"""A scheduler without a mind, for orchestrator/tuning/schedulers.py."""

from orchestrator.journal.recorder import Recorder
from orchestrator.study.spec import StudySpec
from orchestrator.tuning.schedulers import SCHEDULERS, RecordedFifo


def make_patient(spec: StudySpec, recorder: Recorder) -> RecordedFifo:
    """Returns a scheduler that stops no trial."""
    return RecordedFifo(recorder)


SCHEDULERS["patient"] = make_patient

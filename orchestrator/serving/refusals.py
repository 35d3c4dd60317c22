"""What a request is refused with: an HTTP status and a sentence that says what to send instead."""

from collections.abc import Mapping

from orchestrator.errors import OrchestratorError


class RequestRefusedError(OrchestratorError):
    """A request that gets no answer but a status and a sentence.

    Args:
        message: What was received, and what to send instead.
        status: Of HTTP, 400 to 599.
        headers: Further headers of the answer.
    """

    def __init__(self, message: str, *, status: int = 400, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.headers = dict(headers or {})

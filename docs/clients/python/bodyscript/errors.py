"""What can go wrong, as exceptions with the stable codes of the service."""

from __future__ import annotations

from typing import Optional


class BodyScriptError(Exception):
    """Any error of this client."""


class ConnectionLost(BodyScriptError):
    """The service could not be reached, or the connection broke, for longer than `patience_s`."""


class ApiError(BodyScriptError):
    """The service refused a request.

    `code` is stable, for programs, and listed at `/api/problems`; `detail` is a sentence for people.
    """

    def __init__(
        self, status: int, code: str, detail: str, retry_after_s: Optional[float] = None
    ) -> None:
        super().__init__(f"{detail} ({code})")
        self.status = status
        self.code = code
        self.detail = detail
        self.retry_after_s = retry_after_s


class JobFailed(BodyScriptError):
    """The video was accepted but could not be processed; `code` and `detail` say why."""

    def __init__(self, job_id: str, code: str, detail: str) -> None:
        super().__init__(f"{detail} ({code})")
        self.job_id = job_id
        self.code = code
        self.detail = detail


class JobCancelled(BodyScriptError):
    """The job was cancelled before it ended."""

    def __init__(self, job_id: str) -> None:
        super().__init__(f"The job {job_id} was cancelled.")
        self.job_id = job_id

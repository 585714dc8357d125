"""The status of a job."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Optional


@dataclass(frozen=True)
class JobWarning:
    """Something that was left out of the results, or assumed."""

    code: str
    sentence: str


@dataclass(frozen=True)
class Status:
    """A job at one moment. `document` has everything that the service said about it."""

    job_id: str
    status: str
    """`pending`, `processing`, `completed`, `failed` or `cancelled`."""
    progress: int
    """From 0 to 100; 100 only when completed."""
    message: str
    current_frame: int
    total_frames: Optional[int]
    eta_s: Optional[float]
    warnings: tuple[JobWarning, ...]
    urls: Mapping[str, str]
    """The results by name of format, once completed."""
    error_code: Optional[str]
    document: Mapping[str, Any]

    @property
    def is_over(self) -> bool:
        """Whether the job has ended, in whatever way."""
        return self.status in ("completed", "failed", "cancelled")

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Status:
        """Reads the document of `/api/status/{id}`."""
        warnings = document.get("warnings") or ()
        urls = document.get("urls") or {}
        return cls(
            job_id=document["job_id"],
            status=document["status"],
            progress=document["progress"],
            message=document["message"],
            current_frame=document["current_frame"],
            total_frames=document["total_frames"],
            eta_s=document.get("eta_s"),
            warnings=tuple(JobWarning(one["code"], one["sentence"]) for one in warnings),
            urls={name: url for name, url in urls.items() if url is not None},
            error_code=document.get("error_code"),
            document=document,
        )

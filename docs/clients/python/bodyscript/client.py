"""The client: from a video to its results, by calls of the HTTP API."""

from __future__ import annotations

import io
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional, Union

from .download import Download
from .errors import ApiError, JobCancelled, JobFailed
from .options import Options, as_texts
from .progress import Progress
from .status import Status
from .transport import Transport, read
from .upload import Upload

if TYPE_CHECKING:
    import pandas
    from typing_extensions import Unpack

Video = Union[str, "os.PathLike[str]"]


class Client:
    """A client of one service.

    `headers` are sent with every request, such as for a reverse proxy that asks for a password.
    `timeout_s` is for a single step of a request. What fails for a reason that may pass is tried
    again until there was no advance for `patience_s`.
    """

    def __init__(
        self,
        base_url: str,
        *,
        headers: Optional[Mapping[str, str]] = None,
        timeout_s: float = 60.0,
        patience_s: float = 300.0,
    ) -> None:
        self._transport = Transport(base_url, headers or {}, timeout_s, patience_s)

    def process(
        self, video: Video, *, progress: Optional[Progress] = None, **options: Unpack[Options]
    ) -> Status:
        """Uploads a video and waits for its results; returns the status of the completed job."""
        job_id = self.upload(video, progress=progress, **options)
        return self.wait(job_id, progress=progress)

    def upload(
        self, video: Video, *, progress: Optional[Progress] = None, **options: Unpack[Options]
    ) -> str:
        """Uploads a video, over broken connections too; returns the id of the job."""
        upload = self.begin_upload(video, **options)
        return upload.send(progress.uploaded if progress else None)

    def begin_upload(self, video: Video, **options: Unpack[Options]) -> Upload:
        """Announces a video without sending it: its `id` can be kept before `send` begins."""
        return Upload.create(self._transport, video, as_texts(options))

    def resume_upload(self, upload_id: str, video: Video) -> Upload:
        """An upload of the same video that an earlier run of the program has begun."""
        return Upload(self._transport, upload_id, video)

    def status(self, job_id: str) -> Status:
        """The status of a job."""
        return Status.of(self._json("GET", f"/api/status/{job_id}"))

    def wait(
        self,
        job_id: str,
        *,
        progress: Optional[Progress] = None,
        poll_s: float = 0.5,
        timeout_s: Optional[float] = None,
    ) -> Status:
        """Waits until a job is completed; returns its status.

        Raises `JobFailed` or `JobCancelled` if it ends in another way, and `TimeoutError` if it has
        not ended after `timeout_s`.
        """
        end = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            status = self.status(job_id)
            if progress is not None:
                progress.processed(status)
            if status.is_over:
                return _completed(status)
            if end is not None and time.monotonic() > end:
                raise TimeoutError(f"job {job_id} has not ended: {status.message}")
            time.sleep(poll_s)

    def download(self, job_id: str, name: str, target: Video) -> Path:
        """Downloads a result, such as `video` or `csv`, into a file, which appears when it is complete.

        The names are the keys of `Status.urls`.
        """
        target = Path(target)
        part = target.with_name(f"{target.name}.part")
        try:
            with part.open("wb") as file:
                Download(self._transport, _address(job_id, name), file).run()
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
        return target

    def read(self, job_id: str, name: str) -> bytes:
        """A result, such as `json`, in memory."""
        content = io.BytesIO()
        Download(self._transport, _address(job_id, name), content).run()
        return content.getvalue()

    def dataframe(self, job_id: str, name: str = "csv") -> pandas.DataFrame:
        """The poses as a table of pandas: a row for each frame, person and landmark.

        `name` can be `csv`, `parquet` (needs pyarrow) or `angles`, if the job has that format.
        """
        import pandas

        content = io.BytesIO(self.read(job_id, name))
        if name == "parquet":
            return pandas.read_parquet(content)
        return pandas.read_csv(content)

    def cancel(self, job_id: str) -> Status:
        """Cancels a job that has not ended."""
        with self._transport.open("POST", f"/api/cancel/{job_id}", body=b"") as response:
            return Status.of(json.loads(read(response)))

    def delete(self, job_id: str) -> None:
        """Deletes a job and all its files. One that is gone already is no error."""
        try:
            self._json("DELETE", f"/api/cleanup/{job_id}")
        except ApiError as error:
            if error.code != "job_not_found":
                raise

    def service(self) -> Mapping[str, Any]:
        """Version, modes, models and limits of the service, and the names of the landmarks."""
        return self._json("GET", "/api")

    def _json(self, method: str, path: str) -> Mapping[str, Any]:
        def attempt() -> Mapping[str, Any]:
            with self._transport.open(method, path) as response:
                document: Mapping[str, Any] = json.loads(read(response))
                return document

        return self._transport.patiently(attempt)


def _address(job_id: str, name: str) -> str:
    return f"/api/download/{job_id}/{name}"


def _completed(status: Status) -> Status:
    if status.status == "failed":
        detail = status.document.get("error") or status.message
        raise JobFailed(status.job_id, status.error_code or "unknown", detail)
    if status.status == "cancelled":
        raise JobCancelled(status.job_id)
    return status

"""A resumable upload (tus 1.0.0): in chunks, each from the offset that the service reports."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Mapping
from email.message import Message
from typing import BinaryIO, Optional, Union

from .errors import BodyScriptError
from .transport import Transport

# Reverse proxies accept bodies of this size by default.
CHUNK_BYTES = 1 << 20
VERSION = {"Tus-Resumable": "1.0.0"}

Path = Union[str, "os.PathLike[str]"]


class Upload:
    """An upload that the service knows. `id` is also that of the later job.

    Keep the id to go on after the program was restarted: `Client.resume_upload`.
    """

    def __init__(self, transport: Transport, upload_id: str, video: Path) -> None:
        self.id = upload_id
        self._transport = transport
        self._video = video
        self._offset = 0
        self._is_offset_known = False
        self._is_complete = False

    @classmethod
    def create(cls, transport: Transport, video: Path, options: Mapping[str, str]) -> Upload:
        """Announces a video. The service refuses wrong options before any byte is sent."""
        fields = {"filename": os.path.basename(os.fspath(video)), **options}
        headers = {
            **VERSION,
            "Upload-Length": str(os.path.getsize(video)),
            "Upload-Metadata": ",".join(map(_metadata, fields, fields.values())),
        }

        def attempt() -> str:
            with transport.open("POST", "/api/tus", headers) as response:
                location = response.headers["Location"]
                if location is None:
                    raise BodyScriptError(f"{response.url} is no service of BodyScript")
                return str(location)

        location = transport.patiently(attempt)
        return cls(transport, location.rsplit("/", 1)[-1], video)

    def send(
        self,
        on_progress: Optional[Callable[[int, int], None]] = None,
        chunk_bytes: int = CHUNK_BYTES,
    ) -> str:
        """Sends what the service does not have yet; returns the id of the job.

        After a broken connection it asks for the offset and goes on from there. `on_progress` is
        told how many bytes are stored, and of how many.
        """
        size = os.path.getsize(self._video)
        with open(self._video, "rb") as video:
            while not self._is_complete:
                self._transport.patiently(
                    lambda: self._send_chunk(video, chunk_bytes), position=lambda: self._offset
                )
                if on_progress is not None:
                    on_progress(self._offset, size)
        return self.id

    def discard(self) -> None:
        """Deletes the upload, and the job that it became."""
        self._transport.open("DELETE", f"/api/tus/{self.id}", VERSION).close()

    def _send_chunk(self, video: BinaryIO, chunk_bytes: int) -> None:
        if not self._is_offset_known:
            self._ask_for_offset()
        if not self._is_complete:
            video.seek(self._offset)
            chunk = video.read(chunk_bytes)
            self._append(chunk)
            if not chunk and not self._is_complete:
                video_name = os.fspath(self._video)
                raise BodyScriptError(f"{video_name} has become shorter while it was sent")

    def _ask_for_offset(self) -> None:
        with self._transport.open("HEAD", f"/api/tus/{self.id}", VERSION) as response:
            self._learn(response.headers)
            announced = int(response.headers["Upload-Length"])
        size = os.path.getsize(self._video)
        if size != announced:
            video = os.fspath(self._video)
            raise BodyScriptError(
                f"{video} has {size} bytes, but the upload was begun with {announced}"
            )

    def _append(self, chunk: bytes) -> None:
        headers = {
            **VERSION,
            "Upload-Offset": str(self._offset),
            "Content-Type": "application/offset+octet-stream",
        }
        # Whatever happens to this request, a part of it may have been stored.
        self._is_offset_known = False
        path = f"/api/tus/{self.id}"
        with self._transport.open("PATCH", path, headers, chunk) as response:
            self._learn(response.headers)

    def _learn(self, headers: Message) -> None:
        self._offset = int(headers["Upload-Offset"])
        self._is_offset_known = True
        self._is_complete = headers.get("Job-Id") is not None


def _metadata(name: str, value: str) -> str:
    # A name that is no UTF-8 has characters that cannot be encoded.
    encoded = base64.b64encode(value.encode(errors="replace"))
    return f"{name} {encoded.decode()}"

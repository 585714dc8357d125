"""A download that goes on where a broken connection ended it."""

from __future__ import annotations

from typing import BinaryIO, Optional

from .errors import ConnectionLost
from .transport import Transport, read

BLOCK_BYTES = 1 << 18


class Download:
    """The download of one file into an open one."""

    def __init__(self, transport: Transport, path: str, file: BinaryIO) -> None:
        self._transport = transport
        self._path = path
        self._file = file
        self._etag: Optional[str] = None

    def run(self) -> None:
        """Receives the whole file."""
        self._transport.patiently(self._receive, position=self._file.tell)

    def _receive(self) -> None:
        headers = {}
        if self._etag is not None:
            # The whole file is sent if it is another one by now.
            headers = {"Range": f"bytes={self._file.tell()}-", "If-Range": self._etag}
        with self._transport.open("GET", self._path, headers) as response:
            if response.status != 206:
                self._file.seek(0)
                self._file.truncate()
            self._etag = response.headers["ETag"]
            left = int(response.headers["Content-Length"])
            for block in iter(lambda: read(response, BLOCK_BYTES), b""):
                self._file.write(block)
                left -= len(block)
        if left > 0:
            raise ConnectionLost(f"{self._path}: the last {left} bytes are missing")

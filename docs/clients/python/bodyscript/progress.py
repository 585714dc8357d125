"""Progress of an upload and of a job, for people."""

from __future__ import annotations

import shutil
import sys
from typing import Protocol, TextIO

from .status import Status


class Progress(Protocol):
    """Receives the progress of `Client.process`. Any object with these methods will do."""

    def uploaded(self, stored_bytes: int, total_bytes: int) -> None:
        """So many bytes are stored on the disk of the service."""

    def processed(self, status: Status) -> None:
        """The job has this status; the last one is its end."""


class ProgressBar:
    """A line that is drawn over and over, and is gone at the end. Draws nothing where nobody watches."""

    def __init__(self, stream: TextIO = sys.stderr) -> None:
        self._stream = stream
        self._is_watched = stream.isatty()

    def uploaded(self, stored_bytes: int, total_bytes: int) -> None:
        self._draw(stored_bytes / max(total_bytes, 1), "Uploading")

    def processed(self, status: Status) -> None:
        if status.is_over:
            self._show("")
        else:
            self._draw(status.progress / 100, status.message)

    def _draw(self, share: float, text: str) -> None:
        filled = round(20 * share)
        self._show(f"[{'#' * filled}{'.' * (20 - filled)}] {share:4.0%} {text}")

    def _show(self, line: str) -> None:
        if self._is_watched:
            columns = shutil.get_terminal_size().columns - 1
            self._stream.write(f"\r\x1b[K{line[:columns]}")
            self._stream.flush()

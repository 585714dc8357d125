"""Single requests to the service, and when a failed one is worth another attempt."""

from __future__ import annotations

import http.client
import json
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from typing import Optional, TypeVar
from urllib.parse import urljoin

from .errors import ApiError, BodyScriptError, ConnectionLost

T = TypeVar("T")

# Refused for now: no capacity, a request that took too long, or a gateway without its service.
TRANSIENT = frozenset({408, 423, 429, 502, 503, 504, 507})
# More bytes of an upload are stored than the client was told; its next attempt asks for the offset.
OFFSET_CONFLICT = "offset_conflict"
PAUSE_S_MIN = 0.5
PAUSE_S_MAX = 30.0


class Transport:
    """Sends requests to one service."""

    def __init__(
        self, base_url: str, headers: Mapping[str, str], timeout_s: float, patience_s: float
    ) -> None:
        if not base_url.startswith(("http://", "https://")):
            raise ValueError(f"{base_url} is not an address such as http://127.0.0.1:8000")
        self._base_url = base_url.rstrip("/") + "/"
        self._headers = dict(headers)
        self._timeout_s = timeout_s
        self._patience_s = patience_s

    def open(
        self,
        method: str,
        path: str,
        headers: Optional[Mapping[str, str]] = None,
        body: Optional[bytes] = None,
    ) -> http.client.HTTPResponse:
        """Sends one request. The caller reads and closes the response, which is a success."""
        request = urllib.request.Request(
            urljoin(self._base_url, path.lstrip("/")),
            data=body,
            headers=dict(headers or {}),
            method=method,
        )
        for name, value in self._headers.items():
            # Not for another host that the service names, such as a store of results.
            request.add_unredirected_header(name, value)
        try:
            response = urllib.request.urlopen(request, timeout=self._timeout_s)
        except urllib.error.HTTPError as refusal:
            with refusal:
                raise _refused(refusal) from None
        except (OSError, http.client.HTTPException) as error:
            if isinstance(getattr(error, "reason", error), ssl.SSLCertVerificationError):
                # No time cures this.
                raise BodyScriptError(f"{method} {request.full_url}: {error}") from error
            raise ConnectionLost(f"{method} {request.full_url}: {error}") from error
        assert isinstance(response, http.client.HTTPResponse)
        return response

    def patiently(self, attempt: Callable[[], T], position: Callable[[], int] = lambda: 0) -> T:
        """Repeats an attempt that may be repeated until it succeeds.

        Gives up if an error is not transient, or if `position` has not changed for `patience_s`.
        """
        pause, since, last = PAUSE_S_MIN, time.monotonic(), position()
        while True:
            try:
                return attempt()
            except (ApiError, ConnectionLost) as error:
                if position() != last:
                    pause, since, last = PAUSE_S_MIN, time.monotonic(), position()
                asked = 0.0
                if isinstance(error, ApiError):
                    if error.status not in TRANSIENT and error.code != OFFSET_CONFLICT:
                        raise
                    asked = error.retry_after_s or 0.0
                wait = max(pause, asked)
                if time.monotonic() - since + wait > self._patience_s:
                    raise
            time.sleep(wait)
            pause = min(2 * pause, PAUSE_S_MAX)


def read(response: http.client.HTTPResponse, size: int = -1) -> bytes:
    """Reads a body, or at most so many bytes of it."""
    try:
        return response.read() if size < 0 else response.read(size)
    except (OSError, http.client.HTTPException) as error:
        raise ConnectionLost(f"the response broke off: {error}") from error


def _refused(refusal: urllib.error.HTTPError) -> ApiError:
    """The error in a response; of something between client and service it may have no code."""
    retry_after = refusal.headers.get("Retry-After", "")
    wait = float(retry_after) if retry_after.isdecimal() else None
    try:
        problem = json.loads(refusal.read())
        return ApiError(refusal.code, problem["code"], problem["detail"], wait)
    except (OSError, http.client.HTTPException, ValueError, LookupError, TypeError):
        return ApiError(refusal.code, "unknown", f"HTTP {refusal.code} {refusal.reason}", wait)

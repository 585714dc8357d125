"""Teaches schemathesis to send the bytes of a resumable upload."""

import schemathesis


@schemathesis.serializer("application/offset+octet-stream")
def as_they_are(_context, value):
    """Bytes are sent as they were generated, anything else as text."""
    return value if isinstance(value, bytes) else str(value).encode()

"""A client of BodyScript, which turns videos into human pose data.

    from bodyscript import Client, ProgressBar

    client = Client("http://127.0.0.1:8000")
    status = client.process("walk.mp4", progress=ProgressBar(), model="full")
    poses = client.dataframe(status.job_id)
    client.delete(status.job_id)
"""

from .client import Client
from .errors import ApiError, BodyScriptError, ConnectionLost, JobCancelled, JobFailed
from .options import Options
from .progress import Progress, ProgressBar
from .status import JobWarning, Status
from .upload import Upload

__all__ = [
    "ApiError",
    "BodyScriptError",
    "Client",
    "ConnectionLost",
    "JobCancelled",
    "JobFailed",
    "JobWarning",
    "Options",
    "Progress",
    "ProgressBar",
    "Status",
    "Upload",
]

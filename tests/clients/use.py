"""Uses the Python client of docs/clients over a link that breaks during the upload.

    python use.py URL VIDEO FOLDER

Prints one JSON object.
"""

import io
import json
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "docs/clients/python"))

import bodyscript  # noqa: E402

url, video, folder = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])


class Record:
    """What `Client.process` tells of its progress."""

    def __init__(self):
        self.stored = []
        self.states = []

    def uploaded(self, stored_bytes, total_bytes):
        self.stored.append([stored_bytes, total_bytes])

    def processed(self, status):
        self.states.append(status.status)


def failure(kind, call):
    """What a call raises, which is of this kind."""
    try:
        call()
    except kind as error:
        return {"kind": type(error).__name__, "code": error.code, "detail": error.detail}
    raise AssertionError(f"{call} succeeded")


client = bodyscript.Client(url)
record = Record()
status = client.process(
    video, progress=record, interval=2, formats=["csv", "json", "metadata"], model="full"
)
job = status.job_id
target = client.download(job, "json", folder / "poses.json")

# What another run of the program has begun.
begun = client.begin_upload(video, formats="json")
resumed = client.resume_upload(begun.id, video).send()
client.delete(resumed)

text = folder / "text.mp4"
text.write_text("no video")
bar = io.StringIO()
bar.isatty = lambda: True
try:
    import pandas  # noqa: F401

    shape = list(client.dataframe(job).shape)
except ImportError:
    shape = None
csv = client.read(job, "csv").decode()
client.delete(job)
client.delete(job)

print(json.dumps({
    "status": status.status,
    "interval": status.document["interval"],
    "sha256": status.document["sha256"],
    "warnings": [warning.code for warning in status.warnings],
    "formats": sorted(status.urls),
    "stored": record.stored,
    "states": record.states,
    "rows": csv.count("\n") - 1,
    "frames": len(json.loads(target.read_text())["frames"]),
    "left": sorted(path.name for path in folder.iterdir() if path.suffix == ".part"),
    "resumed": resumed == begun.id,
    "gone": failure(bodyscript.ApiError, lambda: client.status(job)),
    "refused": failure(bodyscript.ApiError, lambda: client.upload(video, mode="warp")),
    "failed": failure(
        bodyscript.JobFailed,
        lambda: client.process(text, progress=bodyscript.ProgressBar(bar)),
    ),
    "bar": bar.getvalue(),
    "options": sorted(bodyscript.Options.__annotations__),
    "shape": shape,
}))

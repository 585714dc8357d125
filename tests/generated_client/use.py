"""Generates a client from the OpenAPI document of a running service, and uses it.

    python use.py URL VIDEO FOLDER

Validates the document against the specification of OpenAPI, generates a client from it in FOLDER, and
uses only that client to upload VIDEO, wait, download and clean up.
Prints one JSON object.
"""

import importlib
import json
import subprocess
import sys
import time
from pathlib import Path

import httpx
from openapi_spec_validator import OpenAPIV31SpecValidator

url, video, folder = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
WAIT_S_MAX = 120

document = httpx.get(f"{url}/openapi.json").raise_for_status().json()
faults = [f"{'/'.join(map(str, fault.absolute_path))}: {fault.message}"
          for fault in OpenAPIV31SpecValidator(document).iter_errors()]
assert not faults, "\n".join(faults)

source = folder / "openapi.json"
source.write_text(json.dumps(document))
generated = subprocess.run(
    [sys.executable, "-m", "openapi_python_client", "generate", "--path", source,
     "--config", Path(__file__).with_name("config.yaml"), "--meta", "none",
     "--output-path", folder / "bodyscript_client", "--fail-on-warning"],
    capture_output=True, text=True)
assert generated.returncode == 0, generated.stdout + generated.stderr

sys.path.insert(0, str(folder))
client = importlib.import_module("bodyscript_client").Client(
    base_url=url, raise_on_unexpected_status=True)
models = importlib.import_module("bodyscript_client.models")
types = importlib.import_module("bodyscript_client.types")


def call(tag, operation, *arguments, **options):
    module = importlib.import_module(f"bodyscript_client.api.{tag}.{operation}")
    return module.sync_detailed(*arguments, client=client, **options)


with video.open("rb") as opened:
    form = models.UploadForm(file=types.File(payload=opened, file_name=video.name), interval=2)
    accepted = call("jobs", "upload_video", body=form)
assert accepted.status_code == 202, accepted
job = accepted.parsed.job_id

status = call("jobs", "get_status", job).parsed
end = time.monotonic() + WAIT_S_MAX
while status.completed_at is None:
    assert time.monotonic() < end, f"not over after {WAIT_S_MAX} s: {status}"
    time.sleep(0.1)
    status = call("jobs", "get_status", job).parsed

table = call("results", "download_result", job, "csv").parsed.payload.read()
part = call("results", "get_result", job, "output.mp4").parsed.payload.read(12)
kept = call("results", "get_result_headers", job, "output.mp4")
removed = call("jobs", "remove_job", job).parsed
gone = call("jobs", "get_status", job)

print(json.dumps({
    "operations": sum(1 for item in document["paths"].values() for method in item
                      if method in ("get", "head", "post", "put", "patch", "delete", "options")),
    "modules": len([path for path in folder.glob("bodyscript_client/api/*/*.py")
                    if path.name != "__init__.py"]),
    "status": status.status,
    "interval": status.interval,
    "rows": table.decode().count("\n") - 1,
    "is_mp4": part[4:8] == b"ftyp",
    "video_bytes": int(kept.headers["content-length"]),
    "removed": removed.job_id == job,
    "gone": {"status": gone.status_code, "code": gone.parsed.code},
}))

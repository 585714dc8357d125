"""Runs scenarios against the service and judges them.

    python run.py --programs target/release --folder target/users [--scenarios five,row,mixed,fifty]

Writes FOLDER/figures.json. The exit status is 1 if a rule is violated: every video is completed and its
job deleted, the only refusals are 429 and 503 with Retry-After and a code, the memory of the supervisor
is bounded, and neither a process nor a file of a job is left. Times are recorded and not judged.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import videos
from machine import machine
from scenarios import SCENARIOS
from service import WORKERS, Service

HERE = Path(__file__).parent
SAMPLE_VIDEO = HERE.parent / "demo/walking.mp4"
# What the default of memory_budget_bytes leaves for the supervisor.
SUPERVISOR_BYTES_MAX = 128 << 20
# Ends a run that hangs.
RUN_TIME_MAX = "2h"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--programs", type=Path, required=True, help="folder of the programs")
    parser.add_argument("--folder", type=Path, required=True, help="folder for videos, logs and figures")
    parser.add_argument("--scenarios", default="", help=f"some of {','.join(SCENARIOS)}; all without")
    arguments = parser.parse_args()
    names = [name for name in arguments.scenarios.split(",") if name] or list(SCENARIOS)
    if unknown := set(names) - set(SCENARIOS):
        parser.error(f"unknown scenario {', '.join(unknown)}; there are {', '.join(SCENARIOS)}")
    kept = arguments.folder / "videos"
    kept.mkdir(parents=True, exist_ok=True)
    load_before = os.getloadavg()[0]
    runs = [run(SCENARIOS[name], arguments.programs.resolve(), arguments.folder, kept) for name in names]
    load = f"{load_before:.1f} before, {os.getloadavg()[0]:.1f} after"
    figures = {"machine": machine() | {"load average": load}, "workers": WORKERS, "runs": runs}
    (arguments.folder / "figures.json").write_text(json.dumps(figures))
    sys.exit(1 if any(run["violations"] for run in runs) else 0)


def run(scenario, programs, folder, kept):
    paths = {name: str(videos.make(name, SAMPLE_VIDEO, kept)) for name in set(scenario.videos)}
    print(f"load: {scenario.title}", flush=True)
    with tempfile.TemporaryDirectory(prefix="bodyscript-load-") as temporary:
        record = Path(temporary) / "record"
        service = Service(programs, Path(temporary))
        try:
            status = locust(scenario, service.base, paths, record, folder / f"{scenario.name}.log")
            left, memory = service.stop()
        finally:
            service.kill()
            shutil.copy(service.log, folder / f"{scenario.name}-service.log")
        lines = [json.loads(line) for line in record.read_text().splitlines()] if record.exists() else []
    done = [line for line in lines if "job" in line]
    failures = [line["failure"] for line in lines if "failure" in line]
    violations = failures + [f"left: {what}" for what in left]
    violations += judge(scenario, done, status, memory)
    for violation in violations:
        print(f"load: {scenario.name}: {violation}", file=sys.stderr, flush=True)
    return {
        "name": scenario.name,
        "title": scenario.title,
        "users": scenario.users,
        "videos": done,
        "samples": service.samples,
        "memory": memory,
        "violations": violations,
    }


def locust(scenario, base, paths, record, log):
    """Runs the users of a scenario and returns the exit status of locust."""
    with log.open("wb") as output:
        return subprocess.run(
            [sys.executable, "-m", "locust", "--locustfile", HERE / "locustfile.py", "--headless"]
            + ["--host", f"http://{base}", "--users", str(scenario.users)]
            + ["--spawn-rate", str(scenario.users), "--run-time", RUN_TIME_MAX, "--only-summary"]
            + ["--scenario", scenario.name, "--videos", json.dumps(paths), "--record", record],
            stdout=output,
            stderr=output,
            check=False,
        ).returncode


def judge(scenario, done, status, memory):
    violations = []
    expected = Counter((user, video) for user in range(scenario.users) for video in scenario.videos_of(user))
    if missing := expected - Counter((line["user"], line["video"]) for line in done):
        violations.append(f"{missing.total()} of {scenario.total} videos were not completed")
    if status != 0:
        violations.append(f"locust ended with {status}")
    if memory["peak"] > SUPERVISOR_BYTES_MAX:
        violations.append(f"the supervisor took {memory['peak']} bytes, more than {SUPERVISOR_BYTES_MAX}")
    return violations


if __name__ == "__main__":
    main()

"""The service of one scenario: started in a folder of its own, observed while it runs, stopped by SIGTERM."""

import ctypes
import json
import signal
import socket
import subprocess
import threading
import time
from contextlib import suppress
from pathlib import Path
from urllib.request import urlopen

import psutil

SAMPLE_EVERY_S = 0.25
# Longest wait for anything but the videos; far beyond what a slow machine needs.
WAIT_S = 120
WORKERS = 2
JOB_FOLDERS = ("spool", "jobs", "results")
PR_SET_CHILD_SUBREAPER = 36


class Service:
    def __init__(self, programs, folder):
        # Processes that outlive the service become children of this one.
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
        self.state = folder / "state"
        self.log = folder / "service.log"
        self.base, self.operators = (f"127.0.0.1:{port}" for port in free_ports(2))
        with self.log.open("wb") as log:
            self.process = psutil.Popen(
                [programs / "bodyscript", "serve", "--listen", self.base, "--workers", str(WORKERS)]
                + ["--operator-listen", self.operators, "--state-dir", self.state],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self.samples = []
        self.is_over = threading.Event()
        self.sampler = threading.Thread(target=self.sample, daemon=True)
        wait_until(self.is_ready)
        self.sampler.start()

    def is_ready(self):
        if self.process.poll() is not None:
            raise SystemExit(f"load: the service failed to start:\n{self.log.read_text()}")
        with suppress(OSError):
            return self.get("/readyz").status == 200
        return False

    def get(self, path):
        return urlopen(f"http://{self.operators}{path}", timeout=WAIT_S)

    def json(self, path):
        with self.get(path) as response:
            return json.load(response)

    def sample(self):
        while not self.is_over.wait(SAMPLE_EVERY_S):
            # No sample while the service does not respond: the users will tell.
            with suppress(OSError, psutil.NoSuchProcess):
                health = self.json("/health")
                self.samples.append(
                    {
                        "at": time.time(),
                        "supervisor": resident(self.process),
                        "workers": sum(map(resident, self.workers())),
                        "queued": health["queued_jobs"],
                        "active": health["active_jobs"],
                    }
                )

    def workers(self):
        return self.process.children(recursive=True)

    def stop(self):
        """What is left once all jobs are deleted and after the end, and the memory of the supervisor."""
        if (status := self.process.poll()) is not None:
            raise SystemExit(f"load: the service ended by itself with {status}:\n{self.log.read_text()}")
        left = []
        if not wait_until(lambda: not self.workers() and not self.job_files(), must=False):
            left += [f"worker {worker.pid}" for worker in self.workers()] + self.job_files()
        if jobs := self.json("/api/jobs")["total"]:
            left.append(f"{jobs} jobs in the list")
        self.is_over.set()
        self.sampler.join()
        memory = {
            "start": self.samples[0]["supervisor"],
            "end": self.process.memory_info().rss,
            "peak": peak_resident(self.process.pid),
        }
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(WAIT_S)
        if status != 0:
            left.append(f"the service ended with {status}")
        left += [f"process {orphan.pid} ({orphan.name()})" for orphan in psutil.Process().children()]
        left += [f"control group {group}" for group in control_groups(self.process.pid)]
        return left, memory

    def job_files(self):
        folders = (self.state / name for name in JOB_FOLDERS)
        return [str(path.relative_to(self.state)) for folder in folders for path in folder.glob("*")]

    def kill(self):
        """Ends the service at once, if it still runs."""
        self.is_over.set()
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def free_ports(number):
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [listener.getsockname()[1] for listener in listeners]
    for listener in listeners:
        listener.close()
    return ports


def wait_until(condition, must=True):
    deadline = time.monotonic() + WAIT_S
    while not (is_met := condition()) and time.monotonic() < deadline:
        time.sleep(0.05)
    if must and not is_met:
        raise SystemExit("load: the service does not become ready")
    return is_met


def resident(process):
    with suppress(psutil.NoSuchProcess):
        return process.memory_info().rss
    return 0


def peak_resident(pid):
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    (peak,) = (line.split()[1] for line in lines if line.startswith("VmHWM:"))
    return int(peak) * 1024


def control_groups(pid):
    return Path("/sys/fs/cgroup").glob(f"**/bodyscript-{pid}-*")

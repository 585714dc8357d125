"""The machine and the versions that figures belong to."""

import datetime
import importlib.metadata
import os
import platform
import re
import subprocess
from pathlib import Path

import psutil


def machine():
    processor = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    name = processor[1] if processor else "unknown processor"
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], check=False, capture_output=True, text=True
    )
    return {
        "machine": f"{os.cpu_count()} x {name}, {psutil.virtual_memory().total >> 30} GiB",
        "kernel": platform.release(),
        "commit": commit.stdout.strip(),
        "date": datetime.date.today().isoformat(),
        "Python": platform.python_version(),
        "locust": importlib.metadata.version("locust"),
    }

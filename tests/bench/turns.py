"""Work by turns: for each line that comes, one round of work and one line of JSON with its cost.

Used by the scripts beside it. The benchmark starts each of them once and asks them in turn, so that
imports are not measured and noise affects all equally.
"""

import json
import resource
import sys
import time
from importlib.metadata import version


class CannotDo(Exception):
    """An error that is printed in place of a cost."""


def take(work, packages, **facts):
    """Says what runs here, then answers each line with what `work(line)` cost."""
    versions = {name: version(name) for name in packages}
    print_object({"versions": {"Python": sys.version.split()[0], **versions}, **facts})
    for line in sys.stdin:
        try:
            cost = work(line.strip())
        except CannotDo as error:
            print_object({"error": str(error)})
            continue
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        print_object({**cost, "peak_bytes": peak})


def print_object(values):
    print(json.dumps(values), flush=True)


def timed(work):
    """The cost of one round; `work` gives the number of frames."""
    begun, used = time.perf_counter(), time.process_time()
    frames = work()
    wall, cpu = time.perf_counter() - begun, time.process_time() - used
    return {"frames": frames, "wall_s": wall, "cpu_s": cpu}

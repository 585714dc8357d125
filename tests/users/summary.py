"""The figures of a run that are printed and drawn. Pure."""

import numpy as np

MIB = 1 << 20


def summarise(run):
    videos = run["videos"]
    names = sorted({line["video"] for line in videos}, key=lambda name: (len(name), name))
    parts = {name: part([line for line in videos if line["video"] == name]) for name in names}
    return {
        "name": run["name"],
        "title": run["title"],
        "users": run["users"],
        "all": part(videos),
        "by_video": parts if len(parts) > 1 else {},
        "memory": {when: size / MIB for when, size in run["memory"].items()},
        "workers_peak": max(sample["workers"] for sample in run["samples"]) / MIB,
        "queue_max": max(sample["queued"] for sample in run["samples"]),
    }


def part(videos):
    return {
        "videos": len(videos),
        "refusals": sum(len(line["refusals"]) for line in videos),
        "latency": spread([line["finished"] - line["began"] for line in videos]),
        "accepted": spread([line["finished"] - last_try(line) for line in videos]),
    }


def last_try(line):
    """When the upload that was accepted began."""
    refusals = line["refusals"]
    return refusals[-1]["at"] + refusals[-1]["wait"] if refusals else line["began"]


def spread(values):
    median, p95, most = np.percentile(values, [50, 95, 100])
    return {"median": median, "p95": p95, "max": most}


def away(run, at):
    """Users that were refused and have not come back at this time."""
    refusals = (refusal for line in run["videos"] for refusal in line["refusals"])
    return sum(refusal["at"] <= at < refusal["at"] + refusal["wait"] for refusal in refusals)

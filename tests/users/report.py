"""Writes what `make load` measured as a document with a picture.

    python report.py FIGURES.json FOLDER

writes FOLDER/load.md and FOLDER/images/load.svg.
"""

import json
import sys
from pathlib import Path

from picture import draw
from summary import summarise

INTRODUCTION = """\
# Load

<!-- Written by `make load`. -->

Users upload videos over HTTP, poll the status, fetch `pose_data.csv` and `output.mp4` and delete the job. They are simulated
by locust, as clients with an address each (`X-Forwarded-For`); half of them send forms, half use PUT. A refused user
waits for the seconds of `Retry-After` and uploads again. The service has its default settings: {workers} workers, and
`queue_max` is 10. It is started anew for each scenario.

A run fails unless

- every video is completed, with a row for each frame and landmark, and every job can be deleted;
- the only refusals are 429 and 503 with `Retry-After` and a code, and no other request or connection fails;
- the supervisor has at most 128 MiB, which is what the default of `memory_budget_bytes` leaves for it;
- no job, file of a job, worker or control group is left, and the service exits with 0 on SIGTERM.

Times are not judged. They are those of one machine with {cores} processors, which also runs the users; other programs on it
(see its load average below) make all of them longer.
"""

TIMES = """\
Seconds from the start of the first upload until the user sees that the job is completed; in the last two columns
from the start of the upload that was accepted. The sample is that of `make demo`: 150 frames of 640x480, 0.1 MB.
The files of 5, 10 and 20 MB are ten seconds of 1280x720, 1920x1080 and 1920x1080 at 30 frames/s, made from the
sample and noise.
"""

HOW_TO_RUN = """\
## How to run

    make load
    make load LOAD=five,fifty

The second command runs some of the scenarios (`five`, `row`, `mixed`, `fifty`); its document is then
`target/users/load.md`. Logs, and all figures as `figures.json`, are in `target/users`.
"""


def main():
    figures = json.loads(Path(sys.argv[1]).read_text())
    folder = Path(sys.argv[2])
    (folder / "images").mkdir(parents=True, exist_ok=True)
    summaries = [summarise(run) for run in figures["runs"]]
    draw(figures["runs"], summaries, folder / "images/load.svg")
    (folder / "load.md").write_text(document(figures, summaries))


def document(figures, summaries):
    circumstances = figures["machine"]
    return "\n".join(
        [
            INTRODUCTION.format(workers=figures["workers"], cores=circumstances["machine"].split()[0]),
            "## Times\n",
            TIMES,
            times(summaries),
            f"![{description(summaries)}](images/load.svg)\n",
            "## Memory\n",
            "Resident memory in MiB, and the largest number of jobs in the queue.\n",
            memory(summaries),
            table(["", ""], [[what, value] for what, value in circumstances.items()]),
            HOW_TO_RUN,
        ]
    )


def times(summaries):
    head = ["scenario", "users", "videos", "refusals", "median", "p95", "max", "accepted: median", "max"]
    rows = []
    for summary in summaries:
        parts = [(summary["title"], summary["users"], summary["all"])]
        parts += [(f"of these {video}", "", part) for video, part in summary["by_video"].items()]
        for title, users, part in parts:
            rows.append(
                [title, users, part["videos"], part["refusals"]]
                + [f"{part['latency'][name]:.1f}" for name in ("median", "p95", "max")]
                + [f"{part['accepted'][name]:.1f}" for name in ("median", "max")]
            )
    return table(head, rows)


def memory(summaries):
    head = ["scenario", "supervisor: ready", "peak", "end", "workers together: peak", "queue: longest"]
    rows = [
        [summary["title"]]
        + [f"{summary['memory'][when]:.1f}" for when in ("start", "peak", "end")]
        + [f"{summary['workers_peak']:.0f}", summary["queue_max"]]
        for summary in summaries
    ]
    return table(head, rows)


def description(summaries):
    """What the picture shows, for those who do not see it."""
    latencies = "; ".join(
        f"{summary['title']}: median {summary['all']['latency']['median']:.1f} s,"
        f" at most {summary['all']['latency']['max']:.1f} s"
        for summary in summaries
    )
    peak = max(summary["memory"]["peak"] for summary in summaries)
    queue = "; the queue over time with 50 users" if any(s["name"] == "fifty" for s in summaries) else ""
    return f"Time from upload to finished. {latencies}. The supervisor has at most {peak:.0f} MiB{queue}."


def table(head, rows):
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(map(str, line)) + " |\n" for line in lines)


if __name__ == "__main__":
    main()

"""Draws a run: times and memory of each scenario, and the queue of the one with the most users."""

import matplotlib
import numpy as np
from matplotlib import pyplot
from matplotlib.ticker import FixedLocator, NullFormatter, ScalarFormatter
from summary import away

BLUE, ORANGE, GREY = "#1f6fb4", "#d9730d", "#6b7280"
STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "load",
    "font.family": ["DejaVu Sans", "sans-serif"],
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e5e7eb",
    "axes.axisbelow": True,
    "legend.frameon": False,
}
TICKS_S = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000]


def draw(runs, summaries, path):
    crowd = next((run for run in runs if run["name"] == "fifty"), None)
    with matplotlib.rc_context(STYLE):
        figure = pyplot.figure(figsize=(9, 6.4 if crowd else 3.4), layout="constrained")
        grid = figure.add_gridspec(2 if crowd else 1, 2, width_ratios=[3, 2])
        draw_times(figure.add_subplot(grid[0, 0]), summaries)
        draw_memory(figure.add_subplot(grid[0, 1]), summaries)
        if crowd:
            draw_queue(figure.add_subplot(grid[1, :]), crowd)
        figure.savefig(path, metadata={"Date": None})


def draw_times(axes, summaries):
    rows = np.arange(len(summaries))
    latencies = [summary["all"]["latency"] for summary in summaries]
    of = {name: np.array([latency[name] for latency in latencies]) for name in ("median", "p95", "max")}
    axes.hlines(rows, of["median"], of["max"], color="#c3cad5", linewidth=3, zorder=1)
    for name, marker, colour in (("median", "o", BLUE), ("p95", "D", ORANGE), ("max", "|", GREY)):
        axes.scatter(
            of[name], rows, marker=marker, s=70 if marker == "|" else 36, color=colour, label=name, zorder=2
        )
    for row, latency in enumerate(latencies):
        text = f"{latency['median']:.1f} / {latency['p95']:.1f} / {latency['max']:.1f} s"
        axes.annotate(text, (latency["median"], row), (0, 8), textcoords="offset points", color="#374151")
    axes.set_xscale("log")
    least, most = of["median"].min() / 1.5, of["max"].max() * 2.5
    axes.set_xlim(least, most)
    axes.xaxis.set_major_locator(FixedLocator([tick for tick in TICKS_S if least <= tick <= most]))
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_yticks(rows, [summary["title"] for summary in summaries])
    axes.set_ylim(len(summaries) - 0.5, -0.7)
    axes.grid(axis="y", visible=False)
    axes.set_title("From upload to finished, in seconds (logarithmic)")
    axes.legend(loc="upper right")


def draw_memory(axes, summaries):
    rows = np.arange(len(summaries))
    height = 0.25
    series = (("start", "ready", "#c3cad5"), ("peak", "peak", ORANGE), ("end", "end", BLUE))
    for index, (when, label, colour) in enumerate(series):
        values = [summary["memory"][when] for summary in summaries]
        bars = axes.barh(rows + (index - 1) * height, values, height, color=colour, label=label)
        axes.bar_label(bars, fmt="%.1f", padding=2, fontsize=7)
    axes.set_yticks(rows, [summary["name"] for summary in summaries])
    axes.set_ylim(len(summaries) - 0.5, -0.5)
    axes.set_xlim(0, max(summary["memory"]["peak"] for summary in summaries) * 1.7)
    axes.grid(axis="y", visible=False)
    axes.set_title("Memory of the supervisor, in MiB")
    axes.legend(loc="center right")


def draw_queue(axes, run):
    began = min(line["began"] for line in run["videos"])
    times = np.array([sample["at"] for sample in run["samples"]])
    lines = (
        ("refused, coming back later", [away(run, at) for at in times], GREY),
        ("waiting in the queue", [sample["queued"] for sample in run["samples"]], ORANGE),
        ("at work", [sample["active"] for sample in run["samples"]], BLUE),
    )
    for label, values, colour in lines:
        axes.plot(times - began, values, color=colour, label=label, linewidth=1.6, drawstyle="steps-post")
    axes.set_xlim(0)
    axes.set_ylim(0)
    axes.set_xlabel("seconds")
    axes.set_title(f"{run['title']}: users and their videos over time")
    axes.legend(loc="upper right")

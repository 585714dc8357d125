// The lists of the monitor page: queued jobs, recent jobs, hosts, sandbox layers.

import * as format from "./format.js";
import { make } from "./make.js";
import { actionButton, jobLink } from "./monitor_actions.js";

export const queue = (jobs) =>
  jobs.map((job) => make("li", "", make("p", "name", make("span", "", jobLink(job), " ",
    make("span", "muted", `${job.file_size_mb} MB · ${job.mode}`)), actionButton("cancel", job))));

/** The end of each attempt in order, such as `oom, done`. */
const attempts = (job) => job.attempts.map(({ end }) => end.replaceAll("_", " ")).join(", ") || "–";

export function ended(jobs) {
  return jobs.map((job) => {
    const peak = Math.max(0, ...job.attempts.map((attempt) => attempt.peak_bytes));
    const wall = job.attempts.reduce((sum, attempt) => sum + attempt.wall_ms, 0);
    const outcome = make("td", "", make("span", job.status, job.status));
    if (job.error) outcome.append(make("br"), make("span", "muted small", job.error));
    const cells = [
      make("td", "", new Date(job.completed_at).toLocaleTimeString()),
      // A cancelled job has nothing to show.
      make("td", "", job.status === "cancelled" ? job.filename : jobLink(job)),
      outcome,
      make("td", "", attempts(job)),
      make("td", "", peak ? format.bytes(peak) : "–"),
      make("td", "", wall ? `${(wall / 1000).toFixed(1)} s` : "–"),
      make("td", "", job.status === "failed" ? actionButton("retry", job) : ""),
    ];
    for (const cell of cells) cell.setAttribute("role", "cell");
    const row = make("tr", "", ...cells);
    row.setAttribute("role", "row");
    return row;
  });
}

export function hosts(all) {
  return all.map((host) => {
    const name = make("td", "", host.name);
    if (host.is_this) name.append(make("span", "muted", " this host"));
    return make(
      "tr",
      "",
      name,
      make("td", "", String(host.processing)),
      make("td", "", format.bytes(host.memory_budget_bytes)),
      make("td", "", host.version),
      make("td", "", new Date(host.started_at).toLocaleString()),
      make("td", "", `${Math.round(host.beat_age_s)} s ago`),
    );
  });
}

export function layers(jobs) {
  const report = jobs.find((job) => job.posture)?.posture;
  if (!report) return [make("li", "muted", "No data yet.")];
  return report.map(({ layer, state, detail }) => {
    const item = make("li", `layer ${state}`, `${layer} `, make("strong", "", state));
    if (detail) item.append(make("span", "muted", ` ${detail}`));
    return item;
  });
}

// The cards of the monitor page for busy workers, and places for idle ones, so that nothing below moves when a job
// begins or ends.

import * as format from "./format.js";
import { chart } from "./history.js";
import { make } from "./make.js";
import { actionButton, jobLink } from "./monitor_actions.js";

/** Most places that are kept free for workers. */
const PLACES_MAX = 2;

const place = document.getElementById("workers");

/** A card for a job, kept until the job ends: what has the focus stays in it. */
function newCard(job) {
  const bar = make("progress", "");
  bar.max = 100;
  bar.setAttribute("aria-label", `Progress of ${job.filename}`);
  const head = make("p", "name", make("strong", "", jobLink(job)), actionButton("cancel", job));
  const card = make("li", "", head, make("p", "muted small stage"), bar, make("p", "muted small facts"), make("div", "plot"));
  card.dataset.job = job.job_id;
  return card;
}

/** Shows the jobs that are being processed, of at most this many. */
export function workers({ processing: jobs, workers_max: most }, history) {
  const keys = new Set(jobs.map((job) => job.job_id));
  for (const card of [...place.children]) if (!keys.has(card.dataset.job)) card.remove();
  for (const job of jobs) {
    let card = [...place.children].find(({ dataset }) => dataset.job === job.job_id);
    if (!card) {
      card = newCard(job);
      place.append(card);
    }
    update(card, job, history);
  }
  const free = Math.min(most, PLACES_MAX) - jobs.length;
  for (let n = 0; n < free; n += 1) place.append(make("li", "free muted", "Idle"));
}

function update(card, job, history) {
  const frames = job.total_frames ? `frame ${job.current_frame} of ${job.total_frames}` : "starting";
  const left = job.eta_s === null ? "" : `, about ${format.seconds(job.eta_s)} left`;
  card.querySelector(".stage").textContent = `${job.mode}, ${frames}${left}`;
  const bar = card.querySelector("progress");
  if (job.total_frames) bar.value = job.progress;
  else bar.removeAttribute("value");
  if (!job.worker) return;
  const { pid, cap_bytes: cap, rss_bytes: rss, peak_bytes: peak } = job.worker;
  // The cgroup does not charge this worker for pages shared with other processes, such as libraries.
  const text = `process ${pid ?? "–"}, attempt ${job.attempts.length + 1} · ${format.share(peak, cap)}`
    + ` (${format.bytes(rss)} with shared libraries)`;
  card.querySelector(".facts").textContent = text;
  const own = (sample) => sample.workers.find((each) => each.job_id === job.job_id && each.pid === pid);
  const mine = { samples: history.samples.filter(own), restarts: [] };
  const series = [{ name: "cap", of: () => cap }, { name: "used", of: (sample) => own(sample)?.rss_bytes }];
  const label = `Resident memory of this worker against its cap: ${text}`;
  chart(card.querySelector(".plot"), mine, series, { most: Math.max(cap, rss) * 1.05, marks: [cap, 0], label });
}

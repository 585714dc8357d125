// The monitor page: shows the state the service streams every second, and whether the stream is live.

import * as format from "./format.js";
import { chart, History } from "./history.js";
import * as lists from "./monitor_lists.js";
import { stream } from "./stream.js";

const element = (id) => document.getElementById(id);
const { make } = lists;

const history = new History();
let startedAt = null;

/** Replaces the content only if it differs, so that a selection or the focus survives an update. */
function fill(id, items) {
  const place = element(id);
  const fresh = make(place.tagName, "", ...items);
  if (place.innerHTML !== fresh.innerHTML) place.replaceChildren(...fresh.childNodes);
}

function link(name, text) {
  const pill = element("link");
  if (pill.textContent === text) return;
  pill.className = `pill ${name}`;
  pill.textContent = text;
  document.body.classList.toggle("stale", name !== "live");
}

const used = (sample) => sample.supervisor_bytes + sample.workers_bytes;

/** The next of 1, 1.5 or 2 times a power of two, so that the axis ends at a round number. */
function above(bytes) {
  const power = 2 ** Math.floor(Math.log2(Math.max(bytes, 1 << 20)));
  return [1, 1.5, 2].map((factor) => factor * power).find((most) => most >= bytes);
}

function memory(now) {
  const { budget_bytes: budget, sample, host } = now;
  const gauge = element("gauge");
  const bars = { used: used(sample), reserved: sample.reserved_bytes };
  for (const [name, value] of Object.entries(bars)) {
    gauge.querySelector(`.${name}`).style.setProperty("--share", Math.min(1, value / budget));
  }
  const text = `${format.bytes(bars.used)} in use (service ${format.bytes(sample.supervisor_bytes)}, `
    + `workers ${format.bytes(sample.workers_bytes)}), ${format.bytes(bars.reserved)} reserved `
    + `of a budget of ${format.bytes(budget)}; the host has ${format.bytes(host.memory_available_bytes)} available.`;
  gauge.setAttribute("aria-label", text);
  element("memory-text").textContent = text;
  // A budget far above the usage would flatten the lines, so then only the gauge shows it.
  const peak = history.samples.reduce((most, each) => Math.max(most, used(each), each.reserved_bytes), 0);
  const isNear = peak > budget / 3;
  const most = isNear ? Math.max(budget, peak) * 1.05 : above(peak * 1.05);
  const series = [{ name: "reserved", of: (each) => each.reserved_bytes }, { name: "used", of: used }];
  if (isNear) series.unshift({ name: "budget", of: () => budget });
  element("budget-key").hidden = !isNear;
  const marks = isNear ? [budget, budget / 2, 0] : [most, most / 2, 0];
  chart(element("memory-plot"), history, series, { most, marks, label: "Memory over the last minutes" });
}

/** One card for each worker, kept until its job ends. */
function workers(jobs) {
  const place = element("workers");
  element("no-workers").hidden = jobs.length > 0;
  const keys = new Set(jobs.map((job) => job.job_id));
  for (const card of [...place.children]) if (!keys.has(card.dataset.job)) card.remove();
  for (const job of jobs) {
    let card = [...place.children].find(({ dataset }) => dataset.job === job.job_id);
    if (!card) {
      const bar = make("progress", "");
      bar.max = 100;
      bar.setAttribute("aria-label", `Progress of ${job.filename}`);
      card = make("li", "", make("p", "name"), bar, make("p", "muted small facts"), make("div", "plot"));
      card.dataset.job = job.job_id;
      place.append(card);
    }
    worker(card, job);
  }
}

function worker(card, job) {
  const frames = job.total_frames ? `frame ${job.current_frame} of ${job.total_frames}` : "starting";
  const left = job.eta_s === null ? "" : `, about ${format.seconds(job.eta_s)} left`;
  const name = make("strong", "", String(job.filename));
  card.querySelector(".name").replaceChildren(name, make("span", "muted", ` ${job.mode}, ${frames}${left}`));
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

/** The idle workers that are ready for the next video, if the service keeps any. */
const standby = (now) => now.standby ?? [];

function prepared(now) {
  const all = standby(now).map(({ pid, is_ready: isReady, rss_bytes: rss, cap_bytes: cap }) =>
    `process ${pid ?? "–"} (${isReady ? "ready" : "starting"}, ${format.bytes(rss)} of ${format.bytes(cap)})`);
  element("standby").hidden = !all.length;
  element("standby").textContent = `Idle, waiting for the next video: ${all.join(", ")}.`;
}

/** The figures at the top: a name, a value and an optional note for each. */
function tiles(now) {
  const disk = now.host.disk_free_bytes;
  const ready = standby(now).filter((worker) => worker.is_ready).length;
  const rows = [
    ["workers busy", `${now.processing.length} of ${now.workers_max}`, ready ? `${ready} idle and ready` : ""],
    ["jobs queued", `${now.pending.length} of ${now.queue_max}`, ""],
    ["uploads in progress", String(now.uploads), ""],
    ["completed", String(now.jobs.completed), ""],
    ["failed", String(now.jobs.failed), ""],
    ["disk free", disk === null ? "unknown" : format.bytes(disk),
      `${now.disk_is_short ? "too low: " : ""}${format.bytes(now.disk_free_bytes_min)} reserved`],
  ];
  return rows.map(([name, value, note]) => {
    const term = make("dt", "", name);
    if (note) term.append(make("span", "note", note));
    return make("div", "", term, make("dd", "", value));
  });
}

/** The hosts that share the journal, if there is more than one. */
function hosts({ shared_journal: shared }) {
  const all = shared?.hosts ?? [];
  element("hosts-panel").hidden = all.length < 2;
  if (all.length < 2) return;
  const latency = shared.latency_s === null ? "" : ` in ${(shared.latency_s * 1000).toFixed(1)} ms`;
  const answer = shared.is_reachable ? `answers${latency}` : "does not answer: this is what was last seen";
  element("journal-text").textContent = `The shared journal ${answer}.`;
  fill("hosts", lists.hosts(all));
}

function show(now) {
  link("live", "Live");
  if (startedAt && startedAt !== now.started_at) history.restarts.push(Date.parse(now.started_at));
  startedAt = now.started_at;
  history.add(now.sample);
  element("state").className = now.is_ready ? "ready" : "unready";
  element("state").textContent = now.is_ready ? "Accepting uploads" : `Not accepting uploads: ${now.reason}`;
  const since = new Date(now.started_at).toLocaleString();
  const restarted = history.restarts.length ? " · restarted while this page was open" : "";
  element("about").textContent = `Version ${now.version} · cage: ${now.cage} · running since ${since}${restarted}`;
  fill("tiles", tiles(now));
  memory(now);
  workers(now.processing);
  prepared(now);
  hosts(now);
  element("no-queue").hidden = now.pending.length > 0;
  fill("queue", lists.queue(now.pending));
  element("no-ended").hidden = now.ended.length > 0;
  element("ends").hidden = !now.ended.length;
  fill("ended", lists.ended(now.ended));
  fill("layers", lists.layers([...now.processing, ...now.ended]));
}

const EVENTS = {
  past: (samples) => history.merge(samples),
  now: show,
  trouble: ({ reason }) => link("lost", `No data: ${reason}`),
};

stream("/api/monitor", {
  event: (name, data) => EVENTS[name]?.(data),
  lost: () => link("lost", "Disconnected, retrying"),
  denied: (problem) => new Promise((resolve) => {
    link("lost", "Operators only");
    const form = element("token-form");
    element("token-reason").textContent = problem.detail;
    form.hidden = false;
    form.onsubmit = (event) => {
      event.preventDefault();
      form.hidden = true;
      resolve(element("token").value);
    };
    element("token").focus();
  }),
});

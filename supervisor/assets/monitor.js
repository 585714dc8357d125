// The monitor page: shows the state the service streams every second, and whether the stream is live.

import * as format from "./format.js";
import { chart, History } from "./history.js";
import { make } from "./make.js";
import * as actions from "./monitor_actions.js";
import * as lists from "./monitor_lists.js";
import { workers } from "./monitor_workers.js";
import { stream } from "./stream.js";

const element = (id) => document.getElementById(id);

const history = new History();
let startedAt = null;
/** What an operator entered because the page was refused without. */
let token = null;

/** Replaces the content only if it differs, so that a selection survives an update, and keeps the focus. */
function fill(id, items) {
  const place = element(id);
  const fresh = make(place.tagName, "", ...items);
  if (place.innerHTML === fresh.innerHTML) return;
  const focused = [...place.querySelectorAll("a, button")].find((each) => each === document.activeElement);
  place.replaceChildren(...fresh.childNodes);
  if (!focused) return;
  const { action, job } = focused.dataset;
  const selector = action ? `[data-action="${action}"][data-job="${job}"]` : `a[href="${focused.getAttribute("href")}"]`;
  place.querySelector(selector)?.focus();
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
  const figures = [
    ["in use", bars.used],
    ["by the service", sample.supervisor_bytes],
    ["by workers", sample.workers_bytes],
    ["reserved", bars.reserved],
    ["budget", budget],
    ["available on the host", host.memory_available_bytes],
  ].map(([name, count]) => [name, format.bytes(count)]);
  gauge.setAttribute("aria-label", figures.map(([name, count]) => `${count} ${name}`).join(", "));
  fill("memory-figures", figures.map(([name, count]) => make("div", "", make("dt", "", name), make("dd", "", count))));
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

/** The idle workers that are ready for the next video, if the service keeps any. */
const standby = (now) => now.standby ?? [];

function prepared(now) {
  const all = standby(now).map(({ pid, is_ready: isReady, rss_bytes: rss, cap_bytes: cap }) =>
    `process ${pid ?? "–"} (${isReady ? "ready" : "starting"}, ${format.bytes(rss)} of ${format.bytes(cap)})`);
  element("standby").textContent = all.length ? `Idle, waiting for the next video: ${all.join(", ")}.` : "No worker is kept ready.";
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
    // Without a note its line stays, so that nothing moves when there is one.
    const term = make("dt", "", name, make("span", "note", note || "\u00a0"));
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
  workers(now, history);
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

actions.listen(() => token);

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
      token = element("token").value;
      resolve(token);
    };
    element("token").focus();
  }),
});

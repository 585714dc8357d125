// The upload page: which of its views is shown, and what leads from one to the next.
//
// The address carries the job (#job=ID), so that a reload, a bookmark or the way back comes to it.

import * as api from "./api.js";
import { Choice } from "./choice.js";
import { follow } from "./follow.js";
import { Result } from "./result.js";
import { announce, Work } from "./work.js";

const element = (id) => document.getElementById(id);
const VIEWS = ["choose", "work", "problem", "result"];

const choice = new Choice(send);
const work = new Work();
const result = new Result();
/** What the service says of itself; nothing if it does not answer. */
const about = api.about().catch(() => null);
let job = null;
/** Ends what goes on for the present view: an upload, or following a job. */
let leave = () => {};

function show(view) {
  for (const id of VIEWS) element(id).hidden = id !== view;
  element("again").hidden = view === "choose";
  if (view !== "result") result.close();
  window.scrollTo(0, 0);
  element(`${view}-title`).focus({ preventScroll: true });
}

function title(text) {
  document.title = text ? `${text} – BodyScript` : "BodyScript";
}

/** Remembers the job in the address without asking for it again. */
function address(id) {
  job = id;
  const hash = id ? `#job=${id}` : "";
  if (location.hash !== hash) history.pushState(null, "", location.pathname + hash);
}

function start() {
  leave();
  address(null);
  choice.reset();
  title("");
  show("choose");
}

async function send() {
  leave();
  work.begin(choice.file.name, choice.url);
  show("work");
  title("Uploading");
  announce("Uploading.");
  const upload = api.upload(choice.file, choice.fields(), (loaded, total) => work.sent(loaded, total));
  leave = () => upload.abort();
  try {
    const accepted = await upload.done;
    address(accepted.job_id);
    watch(accepted.job_id);
  } catch (problem) {
    fail(problem);
  }
}

function watch(id) {
  leave = follow(id, {
    status: (status) => (status.completed_at ? end(status) : progress(status)),
    lost: () => work.lost(),
    gone: (problem) => { choice.reset(); fail(problem); },
  });
}

function progress(status) {
  work.status(status);
  title(status.status === "processing" ? `${status.progress} %` : "Waiting");
}

async function end(status) {
  leave = () => {};
  if (status.status === "cancelled") {
    announce("Cancelled.");
    start();
    return;
  }
  if (status.status !== "completed") {
    fail(new api.Problem(status.error ?? status.message, { code: status.error_code }));
    return;
  }
  title(status.filename);
  show("result");
  announce("Done. The result is below.");
  try {
    await result.open(status, choice.url, (await about)?.limits ?? {});
  } catch (problem) {
    fail(problem);
  }
}

function fail(problem) {
  element("problem-detail").textContent = problem.message;
  element("problem-code").textContent = problem.code ? `Code: ${problem.code}` : "";
  element("retry").hidden = !choice.file;
  title("That did not work");
  show("problem");
}

async function cancel() {
  element("cancel").disabled = true;
  if (!job) {
    start();
    return;
  }
  try {
    await api.cancel(job);
  } catch (problem) {
    // Over in the meantime: then its end is on its way here.
    if (problem.status !== 409) fail(problem);
    return;
  }
  announce("Cancelled.");
  start();
}

async function remove() {
  if (!window.confirm("Delete the video's results from the service? This cannot be undone.")) return;
  try {
    await api.cleanup(job);
    announce("Deleted.");
    start();
  } catch (problem) {
    fail(problem);
  }
}

/** Shows what the address asks for. */
function open() {
  leave();
  const id = new URLSearchParams(location.hash.slice(1)).get("job");
  if (!id) {
    start();
    return;
  }
  if (id !== job) choice.reset();
  job = id;
  work.begin("", choice.url);
  show("work");
  watch(id);
}

element("cancel").addEventListener("click", cancel);
element("again").addEventListener("click", start);
element("restart").addEventListener("click", start);
element("retry").addEventListener("click", send);
element("remove").addEventListener("click", remove);
window.addEventListener("popstate", open);

open();
about.then((facts) => {
  if (!facts) return;
  choice.offer(facts);
  element("version").textContent = `BodyScript ${facts.version}`;
});

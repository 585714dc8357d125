// The upload page: which of its views is shown, and what leads from one to the next.
//
// The address carries the job (#job=ID), so that a reload, a bookmark or the way back comes to it.

import { announce } from "./announce.js";
import * as api from "./api.js";
import { Choice } from "./choice.js";
import { follow } from "./follow.js";
import { Result } from "./result.js";
import { Resume } from "./resume.js";
import { Sender } from "./sender.js";
import { Work } from "./work.js";

const element = (id) => document.getElementById(id);
const VIEWS = ["choose", "work", "problem", "result"];

/** What the service says of itself; nothing if it does not answer. */
const about = api.about().catch(() => null);
const choice = new Choice(send);
const work = new Work();
const result = new Result();
// What is not offered yet cannot be chosen.
const resume = new Resume({ chosen: (fields) => about.then(() => choice.restore(fields)), arrived: attend });
let job = null;
/** Sends the video, until there is a job. */
let sender = null;
/** Ends what goes on for the present view: an upload, or following a job. */
let leave = () => {};

function show(view) {
  const hadView = VIEWS.some((id) => !element(id).hidden);
  for (const id of VIEWS) element(id).hidden = id !== view;
  element("again").hidden = view === "choose" || sender !== null;
  if (view !== "result") result.close();
  window.scrollTo(0, 0);
  // Whoever comes to the page begins at its top.
  if (hadView) element(`${view}-title`).focus({ preventScroll: true });
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
  resume.offer();
}

async function send() {
  leave();
  const { file, url } = choice;
  const begun = new Sender(file, choice.fields(), {
    sent: (bytes) => {
      work.sent(bytes, file.size);
      title(`Uploading ${Math.floor((bytes / file.size) * 100)} %`);
    },
    trying: () => work.trying(),
    arrived: () => work.arrived(),
    waiting: (problem, seconds, bytes) => {
      work.waiting(problem, seconds, { bytes, total: file.size, onNow: () => begun.hurry() });
      title("Waiting");
    },
  });
  sender = begun;
  leave = () => {
    sender = null;
    begun.stop();
  };
  work.begin(file.name, url);
  title("Uploading");
  show("work");
  announce("Uploading.");
  try {
    const id = await begun.done;
    if (id && sender === begun) watch(id);
  } catch (problem) {
    fail(problem, file.name);
  }
}

/** Comes to a job whose video is not in this page. */
function attend(id) {
  work.begin("", choice.url);
  show("work");
  watch(id);
}

/** Follows a job from here on. */
function watch(id) {
  sender = null;
  address(id);
  element("again").hidden = false;
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
    fail(new api.Problem(status.error ?? status.message, { code: status.error_code }), status.filename);
    return;
  }
  title(status.filename);
  show("result");
  announce("Done. The result is below.");
  try {
    await result.open(status, choice.url, (await about)?.limits ?? {});
  } catch (problem) {
    fail(problem, status.filename);
  }
}

function fail(problem, name = "") {
  leave();
  leave = () => {};
  sender = null;
  element("problem-title").textContent = problem.status === 404 ? "No longer here" : "That did not work";
  element("problem-file").textContent = name;
  element("problem-detail").textContent = problem.message;
  element("problem-code").textContent = problem.code ? `Code: ${problem.code}` : "";
  offerRetry(false);
  title("That did not work");
  show("problem");
  // What only another video cures is not worth another try.
  const cure = problem.code ? api.entry(problem.code).catch(() => null) : Promise.resolve(null);
  cure.then((entry) => offerRetry(Boolean(choice.file) && entry?.cured_by !== "client"));
}

function offerRetry(canRetry) {
  element("retry").hidden = !canRetry;
  element("restart").classList.toggle("primary", !canRetry);
}

async function cancel() {
  element("cancel").disabled = true;
  if (sender) {
    sender.giveUp();
    announce("Cancelled.");
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
  attend(id);
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

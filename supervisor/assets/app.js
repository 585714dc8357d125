// The upload page: which of its views is shown, and the transitions between them.
//
// The URL carries the job (#job=ID), so that a reload, a bookmark or the back button returns to it.

import { announce } from "./announce.js";
import * as api from "./api.js";
import { follow } from "./follow.js";
import { Progress } from "./progress.js";
import { Result } from "./result.js";
import { Resume } from "./resume.js";
import { UploadForm } from "./upload_form.js";
import { Uploader } from "./uploader.js";

const element = (id) => document.getElementById(id);
const VIEWS = ["choose", "work", "problem", "result"];

/** The version and limits of the service, or null if it does not respond. */
const about = api.about().catch(() => null);
const form = new UploadForm(upload);
const progress = new Progress(about);
const result = new Result(followPerson);
// The options are filled from `about`, so they can be restored only after it.
const resume = new Resume({ found: (fields) => about.then(() => form.restore(fields)), submitted: openJob });
let job = null;
/** The running upload, until the job exists. */
let uploader = null;
/** Stops the activity of the current view: an upload, or following a job. */
let leave = () => {};

function show(view) {
  const hadView = VIEWS.some((id) => !element(id).hidden);
  for (const id of VIEWS) element(id).hidden = id !== view;
  element("again").hidden = view === "choose" || uploader !== null;
  if (view !== "result") result.close();
  if (view !== "work") progress.close();
  window.scrollTo(0, 0);
  // On the first view the focus stays at the top of the page.
  if (hadView) element(`${view}-title`).focus({ preventScroll: true });
}

function title(text) {
  document.title = text ? `${text} – BodyScript` : "BodyScript";
}

/** Puts the job into the URL without loading it. */
function setJob(id) {
  job = id;
  const hash = id ? `#job=${id}` : "";
  if (location.hash !== hash) history.pushState(null, "", location.pathname + hash);
}

function start() {
  form.reset();
  showForm();
}

/** Shows the form to have a person followed in the whole video; the video stays selected if this page has it. */
function followPerson(place) {
  form.choosePerson(place);
  showForm();
}

function showForm() {
  leave();
  setJob(null);
  title("");
  show("choose");
  resume.offer();
}

async function upload() {
  leave();
  const { file, url } = form;
  const current = new Uploader(file, form.fields(), {
    sent: (bytes) => {
      progress.sent(bytes, file.size);
      title(`Uploading ${Math.floor((bytes / file.size) * 100)} %`);
    },
    retrying: () => progress.retrying(),
    advanced: () => progress.resumed(),
    waiting: (problem, seconds, bytes) => {
      progress.waiting(problem, seconds, { bytes, total: file.size, onRetryNow: () => current.retryNow() });
      title("Waiting");
    },
  });
  uploader = current;
  leave = () => {
    uploader = null;
    current.stop();
  };
  progress.begin(file.name, url);
  title("Uploading");
  show("work");
  announce("Uploading.");
  try {
    const id = await current.done;
    if (id && uploader === current) watch(id);
  } catch (problem) {
    fail(problem, file.name);
  }
}

/** Opens a job that was not uploaded by this page load. */
function openJob(id) {
  progress.begin("", form.url);
  show("work");
  watch(id);
}

/** Follows a job from now on. */
function watch(id) {
  uploader = null;
  setJob(id);
  element("again").hidden = false;
  leave = follow(id, {
    status: (status) => (status.completed_at ? end(status) : showStatus(status)),
    lost: () => progress.lost(),
    gone: (problem) => { form.reset(); fail(problem); },
  });
}

function showStatus(status) {
  progress.status(status);
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
    await result.open(status, form.url, (await about)?.limits ?? {});
  } catch (problem) {
    fail(problem, status.filename);
  }
}

function fail(problem, name = "") {
  leave();
  leave = () => {};
  uploader = null;
  element("problem-title").textContent = problem.status === 404 ? "Result not found" : "Couldn't process this video";
  element("problem-file").textContent = name;
  element("problem-detail").textContent = problem.message;
  element("problem-code").textContent = problem.code ? `Code: ${problem.code}` : "";
  offerRetry(false);
  title("Error");
  show("problem");
  // A retry with the same video is offered only if it can succeed.
  const lookup = problem.code ? api.entry(problem.code).catch(() => null) : Promise.resolve(null);
  lookup.then((entry) => offerRetry(Boolean(form.file) && entry?.cured_by !== "client"));
}

function offerRetry(canRetry) {
  element("retry").hidden = !canRetry;
  element("restart").classList.toggle("primary", !canRetry);
}

async function cancel() {
  element("cancel").disabled = true;
  if (uploader) {
    uploader.discard();
    announce("Cancelled.");
    start();
    return;
  }
  try {
    await api.cancel(job);
  } catch (problem) {
    // The job has ended in the meantime: its final status is about to arrive.
    if (problem.status !== 409) fail(problem);
    return;
  }
  announce("Cancelled.");
  start();
}

async function remove() {
  if (!window.confirm("Delete the results of this video? This can't be undone.")) return;
  try {
    await api.cleanup(job);
    announce("Deleted.");
    start();
  } catch (problem) {
    fail(problem);
  }
}

/** Shows the job in the URL, or the upload form. */
function open() {
  leave();
  const id = new URLSearchParams(location.hash.slice(1)).get("job");
  if (!id) {
    start();
    return;
  }
  if (id !== job) form.reset();
  openJob(id);
}

element("cancel").addEventListener("click", cancel);
element("again").addEventListener("click", start);
element("restart").addEventListener("click", start);
element("retry").addEventListener("click", upload);
element("remove").addEventListener("click", remove);
window.addEventListener("popstate", open);

open();
about.then((facts) => {
  if (!facts) return;
  form.offer(facts);
  element("version").textContent = `BodyScript ${facts.version}`;
});

// The upload page: which of its views is shown, and the transitions between them.
//
// The URL carries the job (#job=ID), so that a reload, a bookmark or the back button returns to it. Uploads go on
// whatever is shown.

import { announce } from "./announce.js";
import * as api from "./api.js";
import { follow } from "./follow.js";
import * as link from "./link.js";
import * as own from "./own_videos.js";
import { Progress } from "./progress.js";
import { Resume } from "./resume.js";
import { UploadForm } from "./upload_form.js";
import { UploadQueue } from "./upload_queue.js";
import { VideoList } from "./video_list.js";
import { offerSources } from "./video_sources.js";

const element = (id) => document.getElementById(id);
const VIEWS = ["choose", "work", "problem", "result"];

/** The version and limits of the service, or null if it does not respond. */
const about = api.about().catch(() => null);
let limits = {};
/** The job that is shown, or was last. */
let job = null;
/** The upload that is shown, until its job exists. */
let shown = null;
/** The upload that failed, while that is shown. */
let failed = null;
/** Stops following what the current view shows. */
let leave = () => {};
/** The object URL of a file of this page, for its players. */
const local = { file: null, url: null };

const form = new UploadForm(upload);
const progress = new Progress(about);
/** The view of results, once it is needed: it is larger than the rest of the page. */
let result = null;
// The options are filled from `about`, so they can be restored only after it.
const resume = new Resume({ found: (fields) => about.then(() => form.restore(fields)), submitted: openJob });
const queue = new UploadQueue({
  changed: changeUpload,
  sent: (item) => { list.showUpload(item); ifShown(item, showSent); },
  advanced: (item) => ifShown(item, () => progress.resumed()),
  waiting: (item) => { list.showUpload(item); ifShown(item, showPause); },
  retrying: (item) => ifShown(item, () => progress.retrying()),
});
const list = new VideoList(queue, {
  opened: openUpload,
  removed: (item) => (item === shown ? cancel() : queue.remove(item)),
  followed: () => (element("work").hidden ? null : job),
  limits: () => limits,
});

function show(view) {
  const hadView = VIEWS.some((id) => !element(id).hidden);
  for (const id of VIEWS) element(id).hidden = id !== view;
  element("again").hidden = view === "choose";
  if (view !== "result") result?.close();
  if (view !== "work") progress.close();
  window.scrollTo(0, 0);
  // On the first view the focus stays at the top of the page.
  if (hadView) element(`${view}-title`).focus({ preventScroll: true });
}

function title(text) {
  document.title = text ? `${text} – BodyScript` : "BodyScript";
}

/** Puts the job into the URL without loading it; what the URL says besides of the same job stays. */
function setJob(id) {
  job = id;
  const hash = id ? `#job=${id}` : "";
  if (link.read().job !== id) history.pushState(null, "", location.pathname + hash);
}

/** The URL that plays the file of an upload, or null. */
function localUrl(upload) {
  const file = upload?.file ?? null;
  if (file !== local.file) {
    if (local.url) URL.revokeObjectURL(local.url);
    Object.assign(local, { file, url: file && URL.createObjectURL(file) });
  }
  return local.url;
}

function start() {
  form.reset();
  showForm();
}

/** Shows the form with the file and the options of an upload, if this page has them. */
function returnTo(upload) {
  form.reset();
  if (upload) {
    form.restore(upload.fields);
    form.select([upload.file]);
  }
  showForm();
}

/** Shows the form to have a person followed in the whole video. */
function followPerson(place) {
  returnTo(queue.find(job));
  form.choosePerson(place);
}

function showForm() {
  leave();
  setJob(null);
  title("");
  show("choose");
  if (queue.isUploading) resume.withdraw();
  else resume.offer();
}

/** Uploads the selected files, and shows the first of them. */
function upload() {
  const fields = form.fields();
  const [first] = form.files.map((file) => queue.add(file, fields));
  showUpload(first);
}

/** Uploads once more what failed. */
function retry() {
  const { file, fields } = failed;
  queue.remove(failed);
  showUpload(queue.add(file, fields));
}

function openUpload(item) {
  if (item.state === "failed") fail(item.problem, item);
  else showUpload(item);
}

/** Shows an upload that waits or is in progress. */
function showUpload(item) {
  leave();
  leave = () => { shown = null; };
  shown = item;
  setJob(null);
  beginUpload(item);
  show("work");
  announce("Uploading.");
}

function beginUpload(item) {
  progress.begin(item.file.name, localUrl(item));
  title("Uploading");
  if (item.state === "waiting") progress.waitingToUpload();
  else if (item.pause) showPause(item);
  else if (item.sent) showSent(item);
}

function ifShown(item, act) {
  if (item === shown) act(item);
}

function showSent({ file, sent }) {
  progress.sent(sent, file.size);
  title(`Uploading ${Math.floor((sent / file.size) * 100)} %`);
}

function showPause({ file, sent, pause: { problem, until } }) {
  const seconds = Math.max(1, (until - performance.now()) / 1000);
  progress.waiting(problem, seconds, { bytes: sent, total: file.size, onRetryNow: () => queue.retryNow() });
  title("Waiting");
}

/** An upload of the queue has another state. */
function changeUpload(item) {
  if (item.state === "sent") own.add(item.job, item.file.name);
  list.show();
  if (item !== shown) return;
  if (item.state === "uploading") beginUpload(item);
  if (item.state === "sent") watch(item.job);
  if (item.state === "failed") fail(item.problem, item);
}

/** Opens a job, whether or not this page has uploaded it. */
function openJob(id) {
  const sent = queue.find(id);
  progress.begin(sent?.file.name ?? "", localUrl(sent));
  show("work");
  watch(id);
}

/** Follows a job from now on. */
function watch(id) {
  leave();
  setJob(id);
  // Sooner than it is needed, as far as the connection allows.
  loadResult().catch(() => {});
  leave = follow(id, {
    status: (status) => {
      own.update(status, limits);
      if (status.completed_at) end(status);
      else showStatus(status);
    },
    lost: () => progress.lost(),
    gone: (problem) => {
      own.expire(id);
      fail(problem);
    },
  });
}

function showStatus(status) {
  progress.status(status);
  title(status.status === "processing" ? `${status.progress} %` : "Waiting");
}

async function loadResult() {
  const { Result } = await import("./result.js").catch(() => { throw api.unreachable(); });
  result ??= new Result({
    follow: followPerson,
    again: (file, fields) => showUpload(queue.add(file, fields)),
    fileOf: (id) => queue.find(id)?.file ?? null,
  });
}

async function end(status) {
  leave = () => {};
  const upload = queue.find(status.job_id);
  if (status.status === "cancelled") {
    announce("Cancelled.");
    // In place of the address of the job, which has nothing to go back to.
    history.replaceState(null, "", location.pathname);
    returnTo(upload);
    return;
  }
  if (status.status !== "completed") {
    const problem = new api.Problem(status.error ?? status.message, { code: status.error_code });
    fail(problem, upload, status.filename);
    return;
  }
  let isLeft = false;
  leave = () => { isLeft = true; };
  try {
    await loadResult();
    if (isLeft) return;
    title(status.filename);
    show("result");
    announce("Done. The result is below.");
    await result.open(status, localUrl(upload), (await about)?.limits ?? {});
  } catch (problem) {
    if (!isLeft) fail(problem, upload, status.filename);
  }
}

/** Shows a problem, with an upload that can be tried again. */
function fail(problem, upload = null, name = upload?.file.name ?? "") {
  leave();
  leave = () => {};
  failed = upload;
  element("problem-title").textContent = problem.status === 404 ? "Result not found" : "Couldn't process this video";
  element("problem-file").textContent = name;
  element("problem-detail").textContent = problem.message;
  element("problem-code").textContent = problem.code ? `Code: ${problem.code}` : "";
  offerRetry(false);
  title("Error");
  show("problem");
  // A retry with the same video is offered only if it can succeed.
  const lookup = problem.code ? api.entry(problem.code).catch(() => null) : Promise.resolve(null);
  lookup.then((entry) => offerRetry(Boolean(failed) && entry?.cured_by !== "client"));
}

function offerRetry(canRetry) {
  element("retry").hidden = !canRetry;
  element("restart").classList.toggle("primary", !canRetry);
}

/** Cancels what is shown; its file and options stay selected. */
async function cancel() {
  element("cancel").disabled = true;
  const upload = shown ?? queue.find(job);
  if (shown) queue.remove(shown);
  else if (!await cancelJob()) return;
  announce("Cancelled.");
  history.replaceState(null, "", location.pathname);
  returnTo(upload);
}

async function cancelJob() {
  try {
    own.update(await api.cancel(job), limits);
    return true;
  } catch (problem) {
    if (problem.status === 0) {
      // The job goes on, and so does the page; it can be asked again.
      progress.lost();
      element("cancel").disabled = false;
    // 409: the job has ended in the meantime, and its final status is about to arrive.
    } else if (problem.status !== 409) {
      fail(problem);
    }
    return false;
  }
}

async function remove() {
  if (!window.confirm("Delete the results of this video? This can't be undone.")) return;
  try {
    await api.cleanup(job);
    own.remove(job);
    announce("Deleted.");
    start();
  } catch (problem) {
    fail(problem);
  }
}

/** Shows the job in the URL, or the upload form. */
function open() {
  leave();
  const id = link.read().job;
  if (id) openJob(id);
  else start();
}

element("cancel").addEventListener("click", cancel);
element("again").addEventListener("click", start);
element("restart").addEventListener("click", start);
element("retry").addEventListener("click", retry);
element("remove").addEventListener("click", remove);
document.querySelector(".brand").addEventListener("click", (event) => {
  // Loading the page anew would interrupt the uploads.
  if (event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  start();
});
window.addEventListener("popstate", open);
offerSources({
  sample: (file) => {
    form.select([file]);
    if (form.files.length) upload();
  },
  recorded: (file) => {
    form.select([file]);
    element("start").focus();
  },
  failed: (sentence) => form.refuse(sentence),
  limits: () => limits,
});

open();
about.then((facts) => {
  if (!facts) return;
  limits = facts.limits;
  form.offer(facts);
  element("version").textContent = `BodyScript ${facts.version}`;
});

// Shows the progress of a job: uploading, queued, processing.

import { announce } from "./announce.js";
import { Notice } from "./notice.js";
import * as format from "./format.js";
import { WorkPicture } from "./work_picture.js";

const element = (id) => document.getElementById(id);
const STEPS = ["upload", "queue", "process"];
/** The remaining time of an upload is estimated after this time. */
const ESTIMATE_AFTER_MS = 3000;

const left = (seconds) => `about ${format.seconds(seconds)} left`;

/** The estimate of the service, if it has one. */
const estimate = ({ eta_s: seconds }) => (seconds === null ? "" : left(seconds));

export class Progress {
  #quarter = 0;
  #notice = new Notice();
  #picture;
  /** The time since which the upload runs without interruption, and the bytes sent by then. */
  #run = null;
  /** So much of a video is analysed, as far as is known. */
  #seconds;

  /** `about` resolves to what the service says about itself, or null. */
  constructor(about) {
    about.then((facts) => { this.#seconds = facts?.limits.duration_s_max; });
    this.#picture = new WorkPicture(about);
  }

  /** Nothing of the job is shown any more. */
  close() {
    this.#picture.close();
  }

  /** Starts with a new job; `url` plays the video, if this page has the file. */
  begin(name, url) {
    this.#picture.begin(url);
    element("work-file").textContent = name;
    element("work-note").textContent = "";
    element("cancel").disabled = false;
    this.#notice.clear();
    this.#run = null;
    this.#quarter = 0;
    this.#show("upload", "Starting", null, "", "");
  }

  retrying() {
    this.#notice.retrying();
  }

  /** The service has stored more bytes after an interruption. */
  resumed() {
    if (this.#notice.clear()) announce("Upload resumed.");
  }

  /** Other videos are uploaded before this one. */
  waitingToUpload() {
    this.#show("upload", "Waiting to upload", null, "The videos before it come first.", "");
  }

  /** `bytes` of `total` have been sent. */
  sent(bytes, total) {
    if (bytes >= total) {
      this.#show("upload", "Uploading", null, "Upload complete, saving…", "");
      return;
    }
    this.#run ??= { at: performance.now(), bytes };
    const ms = performance.now() - this.#run.at;
    const sent = bytes - this.#run.bytes;
    const eta = ms > ESTIMATE_AFTER_MS && sent > 0 ? left(((total - bytes) / sent) * (ms / 1000)) : "";
    this.#uploading("Uploading", bytes, total, eta);
    this.#announceQuarter((bytes / total) * 100, "uploaded");
  }

  /** The upload is interrupted at `bytes`; `onRetryNow` is called by the button. */
  waiting(problem, seconds, { bytes, total, onRetryNow }) {
    this.#run = null;
    this.#uploading(problem.status ? "Waiting for the service" : "Waiting for connection", bytes, total, "");
    let reason = problem.message;
    if (!navigator.onLine) reason = "This device is offline.";
    else if (!problem.status) reason = "Connection lost.";
    const kept = bytes ? ` ${format.share(bytes, total)} uploaded.` : "";
    if (!this.#notice.isShown) announce(`${reason}${kept} Retrying automatically.`);
    this.#notice.wait(reason + kept, seconds, onRetryNow);
  }

  #uploading(title, bytes, total, eta) {
    const amount = format.share(bytes, total);
    this.#show("upload", title, (bytes / total) * 100, amount, eta);
  }

  status(status) {
    this.#notice.clear();
    element("work-file").textContent = status.filename;
    element("work-note").textContent = this.#lengthNote(status);
    if (status.status === "pending") this.#waiting(status);
    else this.#processing(status);
  }

  /** That the video is longer than the limit, once the service knows it. */
  #lengthNote({ warnings, start }) {
    const isTrimmed = this.#seconds && warnings.some(({ code }) => code === "video_trimmed");
    return isTrimmed ? format.trimmed(this.#seconds, start) : "";
  }

  lost() {
    this.#notice.show("Connection lost. Your video is safe. Reconnecting…");
  }

  #waiting(status) {
    const { queue_position: place, queue_total: total, attempts } = status;
    const position = place === 1 ? "First in the queue." : `Number ${place} of ${total} in the queue.`;
    this.#quarter = 0;
    // After a retry the message of the service gives the reason.
    this.#show("queue", "Queued", null, attempts.length ? status.message : position, estimate(status));
    announce(position);
  }

  #processing(status) {
    const { current_frame: current, total_frames: total, progress } = status;
    if (!total) {
      this.#quarter = 0;
      this.#show("process", "Starting", null, "", "");
      return;
    }
    this.#picture.follow(status);
    this.#show("process", "Analysing", progress, `Frame ${current} of ${total}`, estimate(status));
    this.#announceQuarter(progress, "processed");
  }

  #announceQuarter(percent, verb) {
    const quarter = Math.floor(percent / 25) * 25;
    if (quarter > this.#quarter) {
      this.#quarter = quarter;
      announce(`${quarter} percent ${verb}.`);
    }
  }

  #show(step, title, progress, text, eta) {
    element("work-title").textContent = title;
    const bar = element("progress");
    if (progress === null) bar.removeAttribute("value");
    else bar.value = progress;
    element("progress-text").textContent = text;
    element("eta").textContent = eta;
    for (const item of element("steps").children) {
      const difference = STEPS.indexOf(item.dataset.step) - STEPS.indexOf(step);
      item.className = difference < 0 ? "done" : "";
      if (difference === 0) item.setAttribute("aria-current", "step");
      else item.removeAttribute("aria-current");
    }
  }
}

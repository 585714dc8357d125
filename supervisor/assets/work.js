// Shows how far a job is: being sent, waiting, being processed.

import { announce } from "./announce.js";
import { Notice } from "./notice.js";
import * as words from "./words.js";

const element = (id) => document.getElementById(id);
const STEPS = ["upload", "queue", "process"];
/** A pace is told once it was watched for so long. */
const WATCH_MS = 3000;

const left = (seconds) => `about ${words.seconds(seconds)} left`;

/** What the service foretells, once it does. */
const foretold = ({ eta_s: seconds }) => (seconds === null ? "" : left(seconds));

export class Work {
  #quarter = 0;
  #notice = new Notice();
  /** Since when bytes flow without a break, and how many had left then. */
  #flow = null;

  /** Begins with a new job; `url` plays the video, if this page has it. */
  begin(name, url) {
    const sample = element("work-sample");
    sample.hidden = !url;
    if (url) sample.src = url;
    else sample.removeAttribute("src");
    sample.onerror = () => { sample.hidden = true; };
    element("work-file").textContent = name;
    element("cancel").disabled = false;
    this.#notice.clear();
    this.#flow = null;
    this.#quarter = 0;
    this.#show("upload", "Starting", null, "", "");
  }

  trying() {
    this.#notice.trying();
  }

  /** Bytes count again. */
  arrived() {
    if (this.#notice.clear()) announce("The upload goes on.");
  }

  /** So many bytes have left. */
  sent(bytes, total) {
    if (bytes >= total) {
      this.#show("upload", "Uploading", null, "All sent; being stored.", "");
      return;
    }
    this.#flow ??= { at: performance.now(), bytes };
    const ms = performance.now() - this.#flow.at;
    const gone = bytes - this.#flow.bytes;
    const eta = ms > WATCH_MS && gone > 0 ? left(((total - bytes) / gone) * (ms / 1000)) : "";
    this.#uploading("Uploading", bytes, total, eta);
    this.#tellQuarter((bytes / total) * 100, "sent");
  }

  /** The upload stands still at so many bytes; `onNow` is called if it shall not wait. */
  waiting(problem, seconds, { bytes, total, onNow }) {
    this.#flow = null;
    this.#uploading(problem.status ? "Waiting for the service" : "Waiting for the line", bytes, total, "");
    let why = problem.message;
    if (!navigator.onLine) why = "This device is offline.";
    else if (!problem.status) why = "The connection is broken.";
    const kept = bytes ? ` What has arrived (${words.bytes(bytes)}) is kept.` : "";
    if (!this.#notice.isShown) announce(`${why}${kept} It is tried again.`);
    this.#notice.wait(why + kept, seconds, onNow);
  }

  #uploading(title, bytes, total, eta) {
    const amount = `${words.bytes(bytes)} of ${words.bytes(total)}`;
    this.#show("upload", title, (bytes / total) * 100, amount, eta);
  }

  status(status) {
    this.#notice.clear();
    element("work-file").textContent = status.filename;
    if (status.status === "pending") this.#waiting(status);
    else this.#processing(status);
  }

  lost() {
    this.#notice.say("The connection is lost; the video is not. Trying again\u00a0…");
  }

  #waiting(status) {
    const { queue_position: place, queue_total: total, attempts } = status;
    const turn = place === 1 ? "Next in line." : `Place ${place} of ${total} in the queue.`;
    this.#quarter = 0;
    // After a retry the service says why it waits again.
    this.#show("queue", "Waiting for a worker", null, attempts.length ? status.message : turn, foretold(status));
    announce(turn);
  }

  #processing(status) {
    const { current_frame: current, total_frames: total, progress } = status;
    if (!total) {
      this.#quarter = 0;
      this.#show("process", "Starting a worker", null, "", "");
      return;
    }
    this.#show("process", "Finding the pose", progress, `Frame ${current} of ${total}`, foretold(status));
    this.#tellQuarter(progress, "done");
  }

  #tellQuarter(percent, what) {
    const quarter = Math.floor(percent / 25) * 25;
    if (quarter > this.#quarter) {
      this.#quarter = quarter;
      announce(`${quarter} percent ${what}.`);
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

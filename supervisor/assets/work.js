// Shows how far a job is: sending, waiting, being processed.

import * as words from "./words.js";

const element = (id) => document.getElementById(id);
const STEPS = ["upload", "queue", "process"];

/** Tells people who do not see the page; not more often than they can listen. */
export function announce(text) {
  const live = element("live");
  if (live.textContent !== text) live.textContent = text;
}

/** What the service foretells, once it does. */
const left = ({ eta_s: seconds }) => (seconds === null ? "" : `about ${words.seconds(seconds)} left`);

export class Work {
  #quarter = 0;

  /** Begins with a new job; `url` plays the video, if this page has it. */
  begin(name, url) {
    this.#quarter = 0;
    const sample = element("work-sample");
    sample.hidden = !url;
    if (url) sample.src = url;
    else sample.removeAttribute("src");
    sample.onerror = () => { sample.hidden = true; };
    element("work-file").textContent = name;
    element("lost").hidden = true;
    element("cancel").disabled = false;
    this.#show("upload", "Starting", null, "", "");
  }

  sent(loaded, total) {
    if (loaded >= total) {
      this.#show("upload", "Uploading", null, "Sent; being stored.", "");
      return;
    }
    const amount = `${words.bytes(loaded)} of ${words.bytes(total)}`;
    this.#show("upload", "Uploading", (loaded / total) * 100, amount, "");
  }

  status(status) {
    element("lost").hidden = true;
    element("work-file").textContent = status.filename;
    if (status.status === "pending") this.#waiting(status);
    else this.#processing(status);
  }

  lost() {
    element("lost").hidden = false;
  }

  #waiting(status) {
    const { queue_position: place, queue_total: total, attempts } = status;
    const turn = place === 1 ? "Next in line." : `Place ${place} of ${total} in the queue.`;
    // After a retry the service says why it waits again.
    this.#show("queue", "Waiting for a worker", null, attempts.length ? status.message : turn, left(status));
    announce(turn);
  }

  #processing(status) {
    const { current_frame: current, total_frames: total, progress } = status;
    if (!total) {
      this.#show("process", "Starting a worker", null, "", "");
      return;
    }
    this.#show("process", "Finding the pose", progress, `Frame ${current} of ${total}`, left(status));
    const quarter = Math.floor(progress / 25) * 25;
    if (quarter > this.#quarter) {
      this.#quarter = quarter;
      announce(`${quarter} percent done.`);
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

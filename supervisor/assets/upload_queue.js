// The files that this page uploads, one after the other. A failure of one does not stop the rest.

import { Uploader } from "./uploader.js";

export class UploadQueue {
  /** {file, fields, state, sent, pause, problem, job}; `state` is waiting, uploading, sent, failed or cancelled. */
  items = [];
  #listeners;
  #uploader = null;

  /**
   * Calls `listeners.changed` with an item whenever its state is another one, and during its upload `sent`,
   * `advanced`, `waiting` and `retrying`, as of an `Uploader`, with the item.
   */
  constructor(listeners) {
    this.#listeners = listeners;
    window.addEventListener("beforeunload", (event) => {
      // The upload in progress can be resumed; files that wait would be forgotten.
      if (this.items.some(({ state }) => state === "waiting")) event.preventDefault();
    });
  }

  get isUploading() {
    return this.#uploader !== null;
  }

  add(file, fields) {
    const item = { file, fields, state: "waiting", sent: 0, pause: null, problem: null, job: null };
    this.items.push(item);
    this.#listeners.changed(item);
    this.#run();
    return item;
  }

  /** The item that became this job. */
  find(job) {
    return this.items.find((item) => item.job === job);
  }

  /** Takes an item out; its upload is discarded. */
  remove(item) {
    if (item.state === "uploading") this.#uploader.discard();
    this.items = this.items.filter((other) => other !== item);
    this.#set(item, "cancelled");
  }

  retryNow() {
    this.#uploader?.retryNow();
  }

  async #run() {
    if (this.isUploading) return;
    let item;
    while ((item = this.items.find(({ state }) => state === "waiting"))) {
      this.#uploader = new Uploader(item.file, item.fields, this.#listenersOf(item));
      this.#set(item, "uploading");
      try {
        item.job = await this.#uploader.done;
        this.#set(item, item.job ? "sent" : "cancelled");
      } catch (problem) {
        item.problem = problem;
        this.#set(item, "failed");
      }
    }
    this.#uploader = null;
  }

  #set(item, state) {
    if (item.state === state) return;
    item.state = state;
    this.#listeners.changed(item);
  }

  #listenersOf(item) {
    const listeners = this.#listeners;
    return {
      sent: (bytes) => { item.sent = bytes; listeners.sent(item); },
      advanced: () => { item.pause = null; listeners.advanced(item); },
      waiting: (problem, seconds) => {
        item.pause = { problem, until: performance.now() + seconds * 1000 };
        listeners.waiting(item);
      },
      retrying: () => listeners.retrying(item),
    };
  }
}

// The picture beside the progress of a job: its video, if this page has the file, and the people in it as they are found.

import { clear, draw, fit } from "./skeleton.js";

const element = (id) => document.getElementById(id);
const prefersStillness = window.matchMedia("(prefers-reduced-motion: reduce)");

export class WorkPicture {
  #stage = element("work-stage");
  #sample = element("work-sample");
  #canvas = element("work-skeleton");
  #connections = [];
  #people = new Set();
  /** The job that is followed, and the id of the last message about it. */
  #job = null;
  #last = "";
  #source = null;
  /** The frame to be shown once the present one is. */
  #next = null;
  #isBusy = false;

  /** `about` resolves to what the service says about itself, or null. */
  constructor(about) {
    about.then((facts) => { this.#connections = facts?.connections ?? []; });
    this.#sample.onloadedmetadata = () => this.#shape(this.#sample.videoWidth, this.#sample.videoHeight);
    this.#sample.onerror = () => {
      this.#sample.hidden = true;
      this.#stage.hidden = true;
      this.#isBusy = false;
    };
    // A hidden page uses none of the few connections to the service.
    document.addEventListener("visibilitychange", () => (document.hidden ? this.#disconnect() : this.#connect()));
  }

  /** Starts with a new job; `url` plays the video, if this page has the file. */
  begin(url) {
    this.close();
    this.#sample.hidden = !url;
    this.#stage.hidden = !url;
    if (url) this.#sample.src = url;
    else this.#sample.removeAttribute("src");
  }

  /** Shows the people in a job that is processed, if its size is known and the user has not asked for less motion. */
  follow({ job_id: id, width, height }) {
    if (this.#job === id || !width || prefersStillness.matches) return;
    this.#job = id;
    this.#shape(width, height);
    this.#connect();
  }

  close() {
    this.#disconnect();
    this.#job = null;
    this.#last = "";
    // A seek in a video that is replaced does not end.
    this.#isBusy = false;
    this.#reset();
  }

  #shape(width, height) {
    this.#stage.style.setProperty("--ratio", width / height);
  }

  #connect() {
    if (!this.#job || this.#source || document.hidden) return;
    const after = this.#last && `?after=${this.#last}`;
    this.#source = new EventSource(`/api/poses/${this.#job}${after}`);
    const on = (name, handle) => this.#source.addEventListener(name, (event) => {
      this.#last = event.lastEventId;
      handle(JSON.parse(event.data));
    });
    on("poses", (frame) => this.#show(frame));
    on("reset", () => this.#reset());
    on("end", () => this.#disconnect());
  }

  #disconnect() {
    this.#source?.close();
    this.#source = null;
  }

  #reset() {
    this.#next = null;
    this.#people.clear();
    clear(this.#canvas);
  }

  #show(frame) {
    this.#next = frame;
    if (!this.#isBusy) this.#advance();
  }

  /** Shows the latest frame, once the video has the picture. */
  #advance() {
    const frame = this.#next;
    this.#isBusy = frame !== null;
    if (!frame) return;
    this.#next = null;
    const job = this.#job;
    const shown = () => {
      if (this.#job !== job) return;
      this.#draw(frame);
      this.#advance();
    };
    // A video that is not there yet does not seek.
    if (this.#sample.hidden || this.#sample.readyState === HTMLMediaElement.HAVE_NOTHING) {
      requestAnimationFrame(shown);
    } else {
      this.#sample.onseeked = shown;
      this.#sample.currentTime = frame.source_time_s;
    }
  }

  #draw(frame) {
    for (const { person_id: id } of frame.people) this.#people.add(id);
    this.#stage.hidden = false;
    fit(this.#canvas);
    draw(this.#canvas, frame, { connections: this.#connections, people: [...this.#people] }, 0);
  }
}

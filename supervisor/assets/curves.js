// The joint angles of a result: the charts, the span of time that they show, and what is made of it.

import { AngleCharts } from "./angle_charts.js";
import { announce } from "./announce.js";
import { saveFile } from "./save_file.js";
import { TimeSpan } from "./time_span.js";

const element = (id) => document.getElementById(id);
/** How much of the time remains after one step of the buttons. */
const ZOOM = 0.5;

const table = () => import("./angle_table.js");

export class Curves {
  #onSeek;
  #pose = null;
  #person = null;
  #span = null;
  #charts = null;
  #frame = 0;
  /** The name of the video. */
  #name = "";

  /** Calls `onSeek` with the frame that is to be shown. */
  constructor(onSeek) {
    this.#onSeek = onSeek;
    element("zoom-in").addEventListener("click", () => this.#zoom(ZOOM));
    element("zoom-out").addEventListener("click", () => this.#zoom(1 / ZOOM));
    element("zoom-all").addEventListener("click", () => this.#choose([0, Infinity]));
    element("save-angles").addEventListener("click", () => this.#save());
    element("motion").addEventListener("toggle", () => this.#showMotion());
  }

  /** Shows a person of a video; gives the function that moves the marker to a frame. */
  open(name, pose, person) {
    const span = new TimeSpan(pose.end, pose.times.length);
    // The same span, if only another person was selected.
    if (this.#span && this.#pose.end === pose.end && this.#name === name) span.show(this.#span.from, this.#span.to);
    [this.#name, this.#pose, this.#person, this.#span] = [name, pose, person, span];
    const places = { main: element("curves"), more: element("more-curves") };
    const acts = { onSeek: this.#onSeek, onChoose: (part) => this.#choose(part) };
    this.#charts = new AngleCharts(places, { pose, person, span }, acts);
    this.#showSpan();
    return (index) => this.#move(index);
  }

  /** Nothing is shown any more. */
  close() {
    this.#span = null;
  }

  #move(index) {
    this.#frame = index;
    this.#charts.show(index);
    if (this.#span.follow(this.#pose.times[index] ?? 0)) this.#showSpan();
  }

  #zoom(factor) {
    this.#span.zoom(factor, this.#pose.times[this.#frame] ?? 0);
    this.#showSpan();
    announce(`${element("span").textContent} shown.`);
  }

  #choose([from, to]) {
    this.#span.show(from, Math.min(to, this.#pose.end));
    this.#showSpan();
  }

  #showSpan() {
    const { from, to, isWhole, isLeast } = this.#span;
    const time = (seconds) => (this.#pose.start + seconds).toFixed(2);
    element("span").textContent = `${time(from)} to ${time(to)} s`;
    // Disabled buttons would lose the focus.
    for (const [id, isOff] of [["zoom-in", isLeast], ["zoom-out", isWhole], ["zoom-all", isWhole]]) {
      element(id).setAttribute("aria-disabled", String(isOff));
    }
    this.#charts.frame();
    this.#showMotion();
  }

  async #showMotion() {
    if (!element("motion").open || !this.#span) return;
    const { motionRows } = await table();
    if (!this.#span) return;
    element("motion-span").textContent = element("span").textContent;
    element("motion-rows").replaceChildren(...motionRows(this.#pose, this.#person, this.#span));
  }

  async #save() {
    const made = await table();
    const { from, to } = this.#span;
    const part = this.#span.isWhole ? "" : `_${from.toFixed(2)}-${to.toFixed(2)}s`;
    const stem = this.#name.replace(/(.)\.[^.]*$/, "$1");
    const text = made.table(this.#pose, this.#person, this.#span);
    saveFile(`${stem}_angles${part}.csv`, new Blob([text], { type: "text/csv" }));
  }
}

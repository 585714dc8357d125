// The samples of the last minutes, and the charts drawn from them.

import * as format from "./format.js";

const SVG = "http://www.w3.org/2000/svg";
const SPAN_MS = 300_000;
/** Samples further apart than this do not belong to one line. */
const GAP_MS = 5000;

export class History {
  samples = [];
  /** The times at which the service restarted while this page was open. */
  restarts = [];

  /** Merges the service's own samples; older samples, from before its restart, are kept. */
  merge(samples) {
    const first = samples[0]?.at_ms ?? Infinity;
    this.samples = [...this.samples.filter(({ at_ms: at }) => at < first), ...samples];
  }

  add(sample) {
    const last = this.samples.at(-1)?.at_ms ?? 0;
    if (sample.at_ms > last) this.samples.push(sample);
    const begin = sample.at_ms - SPAN_MS;
    this.samples = this.samples.filter(({ at_ms: at }) => at >= begin);
    this.restarts = this.restarts.filter((at) => at >= begin);
  }
}

function line(samples, begin, span, valueOf) {
  let last = -Infinity;
  return samples.map((sample) => {
    const value = valueOf(sample);
    if (value === undefined || sample.at_ms < begin) return "";
    const verb = sample.at_ms - last > GAP_MS ? "M" : "L";
    last = sample.at_ms;
    return `${verb}${((sample.at_ms - begin) / span).toFixed(4)} ${value}`;
  }).join("");
}

/** A text label. */
function textLabel(className, text) {
  const made = document.createElement("span");
  made.className = className;
  made.textContent = text;
  return made;
}

function scale(marks, most) {
  const place = document.createElement("div");
  place.className = "scale";
  place.setAttribute("aria-hidden", "true");
  for (const value of marks) {
    const made = textLabel("", value ? format.bytes(value) : "0");
    made.style.setProperty("--at", 1 - value / most);
    place.append(made);
  }
  return place;
}

function times(span) {
  const place = document.createElement("div");
  place.className = "times";
  place.setAttribute("aria-hidden", "true");
  place.append(textLabel("", `${format.seconds(span / 1000)} ago`), textLabel("", "now"));
  return place;
}

/** Draws the series ({name, of}) up to `most` bytes, with grid lines at `marks`. */
export function chart(place, history, series, { most, marks, label }) {
  const end = history.samples.at(-1)?.at_ms ?? Date.now();
  const begin = Math.max(end - SPAN_MS, history.samples[0]?.at_ms ?? 0);
  const span = Math.max(10_000, end - begin);
  const from = end - span;
  const paths = marks.map((value) => ["grid", `M0 ${1 - value / most}H1`]);
  for (const { name, of } of series) {
    paths.push([name, line(history.samples, from, span, (sample) => {
      const value = of(sample);
      return value === undefined ? undefined : (1 - value / most).toFixed(4);
    })]);
  }
  for (const at of history.restarts) {
    if (at >= from) paths.push(["restart", `M${((at - from) / span).toFixed(4)} 0V1`]);
  }
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 1 1");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", label);
  for (const [name, d] of paths) {
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("class", name);
    path.setAttribute("d", d);
    svg.append(path);
  }
  place.replaceChildren(scale(marks, most), svg, times(span));
}

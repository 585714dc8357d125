// Joint angles over time: one small chart per angle, with left and right where it has sides, a time axis, and a marker
// at the current time of the video. A chart shows its values at the pointer, a click or the arrow keys seek the video,
// and a drag chooses the span of time that all charts show.

import { degrees } from "./format.js";
import { marks } from "./time_span.js";

const SVG = "http://www.w3.org/2000/svg";
/** Grid spacing in degrees; a chart spans at least two steps. */
const GRID = 30;
/** The angles that are shown at first. */
const MAIN = ["Hip flexion", "Knee flexion", "Ankle dorsiflexion", "Shoulder flexion", "Elbow flexion", "Trunk flexion"];
/** A shorter drag is a click. */
const DRAG_PX_MIN = 6;
/** Room for half a line at the upper and lower limit, in degrees. */
const EDGE = 2;

function shape(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

function text(name, className, content = "") {
  const made = document.createElement(name);
  made.className = className;
  made.textContent = content;
  return made;
}

/** The lower and upper limit of a chart: whole grid steps around all values. */
function range(sides) {
  const seen = Object.values(sides).flat().filter(Number.isFinite);
  if (!seen.length) return [0, 2 * GRID];
  const low = Math.floor(seen.reduce((a, b) => Math.min(a, b)) / GRID) * GRID;
  const high = Math.ceil(seen.reduce((a, b) => Math.max(a, b)) / GRID) * GRID;
  return [low, Math.max(high, low + 2 * GRID)];
}

/** A path through the values, with gaps where there are none and where another track begins. */
function path({ times, starts, high }, values) {
  let isDrawing = false;
  const steps = values.map((value, index) => {
    if (!Number.isFinite(value)) {
      isDrawing = false;
      return "";
    }
    if (starts.has(index)) isDrawing = false;
    const place = `${times[index].toFixed(4)} ${(high - value).toFixed(2)}`;
    // A value between two gaps is a dot.
    const step = isDrawing ? `L${place}` : `M${place}h0`;
    isDrawing = true;
    return step;
  });
  return steps.join("");
}

/** A text alternative of a chart. */
function summary({ name, sides }) {
  const extent = (values) => {
    const seen = values.filter(Number.isFinite);
    if (!seen.length) return "never visible";
    const low = seen.reduce((a, b) => Math.min(a, b));
    const high = seen.reduce((a, b) => Math.max(a, b));
    return `from ${degrees(low)} to ${degrees(high)}`;
  };
  const extents = Object.entries(sides).map(([side, values]) => `${side} ${extent(values)}`);
  return `${name} over time: ${extents.join(", ")}.`;
}

class Chart {
  #pose;
  #span;
  #curve;
  #height;
  #top;
  #svg;
  #axis = text("div", "axis");
  #time = text("span", "muted");
  #values;
  #grid = shape("path", { class: "grid" });
  #brush = shape("path", { class: "brush" });
  #now = shape("path", { class: "now" });
  #pointer = shape("path", { class: "pointer" });

  constructor({ pose, span, starts }, curve) {
    this.#pose = pose;
    this.#span = span;
    this.#curve = curve;
    const [low, high] = range(curve.sides);
    this.#top = high;
    this.#height = high - low;
    this.#svg = shape("svg", {
      preserveAspectRatio: "none",
      role: "slider",
      tabindex: 0,
      "aria-label": summary(curve),
      "aria-valuemin": 1,
      "aria-valuemax": pose.times.length,
    });
    // The left side is drawn over the right one.
    const lines = Object.entries(curve.sides).reverse().map(([side, angles]) =>
      shape("path", { class: side, d: path({ times: pose.times, starts, high }, angles) }));
    this.#svg.append(this.#brush, this.#grid, ...lines, this.#now, this.#pointer);
    this.#values = Object.entries(curve.sides).map(([side, angles]) => ({ side, angles, shown: text("span", side) }));
    this.figure = this.#figure(low, high);
    this.show(0);
    this.frame();
  }

  #figure(low, high) {
    const figure = text("figure", "curve");
    const caption = text("figcaption", "");
    const values = text("span", "values");
    values.append(this.#time, ...this.#values.map(({ shown }) => shown));
    caption.append(text("span", "", this.#curve.name), values);
    const scale = text("div", "scale");
    for (const place of [scale, this.#axis]) place.setAttribute("aria-hidden", "true");
    scale.append(text("span", "", degrees(high)), text("span", "", degrees(low)));
    const plot = text("div", "plot");
    plot.append(scale, this.#svg, this.#axis);
    figure.append(caption, plot);
    return figure;
  }

  /** Draws the grid and the axis of the span. */
  frame() {
    const { from, to, length } = this.#span;
    this.#svg.setAttribute("viewBox", `${from} ${-EDGE} ${length} ${this.#height + 2 * EDGE}`);
    const lines = [];
    for (let y = 0; y <= this.#height; y += GRID) lines.push(`M${from} ${y}H${to}`);
    const shown = marks(this.#span, this.#pose.start);
    for (const { time } of shown) lines.push(`M${time} 0V${this.#height}`);
    this.#grid.setAttribute("d", lines.join(""));
    this.#axis.replaceChildren(...shown.map(({ time, text: label }) => {
      const mark = text("span", "", label);
      mark.style.setProperty("--at", (time - from) / length);
      return mark;
    }));
  }

  /** Moves the marker to a frame. */
  show(index) {
    this.#now.setAttribute("d", this.#line(index));
    this.#svg.setAttribute("aria-valuenow", index + 1);
    this.#tell(index);
    this.#svg.setAttribute("aria-valuetext", this.#valueText(index));
  }

  /** Shows the values of a frame that is pointed at; null for none. */
  point(index, current) {
    this.#pointer.setAttribute("d", index === null ? "" : this.#line(index));
    this.#tell(index ?? current);
  }

  /** Shows a part as being chosen. */
  brush([from, to]) {
    this.#brush.setAttribute("d", `M${from} ${-EDGE}H${to}V${this.#height + EDGE}H${from}z`);
  }

  #line(index) {
    return `M${this.#pose.times[index] ?? 0} 0V${this.#height}`;
  }

  #timeText(index) {
    return `${(this.#pose.start + (this.#pose.times[index] ?? 0)).toFixed(2)} s`;
  }

  #tell(index) {
    this.#time.textContent = this.#timeText(index);
    for (const { angles, shown } of this.#values) shown.textContent = degrees(angles[index]);
  }

  #valueText(index) {
    const text = ({ side, angles }) => `${side} ${Number.isFinite(angles[index]) ? degrees(angles[index]) : "not visible"}`;
    return `${this.#timeText(index)}: ${this.#values.map(text).join(", ")}`;
  }

  /** Calls `act` with what the user does here. */
  listen({ pointed, clicked, chosen, stepped }) {
    const svg = this.#svg;
    const at = ({ clientX }) => {
      const { left, width } = svg.getBoundingClientRect();
      return this.#span.from + Math.min(1, Math.max(0, (clientX - left) / width)) * this.#span.length;
    };
    let begin = null;
    const part = (event) => [at(begin), at(event)].sort((a, b) => a - b);
    const isDrag = (event) => begin !== null && Math.abs(event.clientX - begin.clientX) >= DRAG_PX_MIN;
    const end = () => {
      begin = null;
      this.#brush.removeAttribute("d");
    };
    svg.addEventListener("pointerdown", (event) => {
      svg.setPointerCapture(event.pointerId);
      begin = event;
    });
    svg.addEventListener("pointermove", (event) => {
      pointed(this.#pose.at(at(event)));
      if (isDrag(event)) this.brush(part(event));
    });
    svg.addEventListener("pointerleave", () => pointed(null));
    svg.addEventListener("pointerup", (event) => {
      if (isDrag(event)) chosen(part(event));
      else if (begin) clicked(this.#pose.at(at(event)));
      end();
    });
    svg.addEventListener("pointercancel", end);
    svg.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.altKey || event.metaKey || !stepped(event.key)) return;
      event.preventDefault();
      event.stopPropagation();
    });
  }
}

/** The charts of a person: those shown at first in `main`, the others in `more`. */
export class AngleCharts {
  #charts;
  #current = 0;

  /** Calls `onSeek` with a frame, and `onChoose` with a part of the time. */
  constructor({ main, more }, { pose, person, span }, { onSeek, onChoose }) {
    const shared = { pose, span, starts: pose.trackStarts(person) };
    const isMain = ({ name }) => MAIN.includes(name);
    const made = pose.curves(person).map((curve) => ({ place: isMain(curve) ? main : more, chart: new Chart(shared, curve) }));
    for (const place of [main, more]) {
      place.replaceChildren(...made.filter((one) => one.place === place).map(({ chart }) => chart.figure));
    }
    this.#charts = made.map(({ chart }) => chart);
    const stepped = (key) => {
      const next = { ArrowLeft: this.#current - 1, ArrowRight: this.#current + 1,
        Home: pose.at(span.from), End: pose.at(span.to) }[key];
      if (next !== undefined) onSeek(next);
      return next !== undefined;
    };
    const pointed = (index) => this.#charts.forEach((chart) => chart.point(index, this.#current));
    for (const chart of this.#charts) chart.listen({ pointed, clicked: onSeek, chosen: onChoose, stepped });
  }

  /** Moves the marker to a frame. */
  show(index) {
    this.#current = index;
    for (const chart of this.#charts) chart.show(index);
  }

  /** Shows the span as it is now. */
  frame() {
    for (const chart of this.#charts) chart.frame();
  }
}

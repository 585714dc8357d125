// Joint angles over time: one small chart per angle, with left and right where it has sides, and a marker at the
// current time of the video. A click or drag in a chart seeks the video.

import { degrees } from "./format.js";

const SVG = "http://www.w3.org/2000/svg";
/** Grid spacing in degrees; a chart spans at least two steps. */
const GRID = 30;
/** The angles that are shown at first. */
const MAIN = ["Hip flexion", "Knee flexion", "Shoulder flexion", "Elbow flexion"];

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
    const step = `${isDrawing ? "L" : "M"}${times[index].toFixed(4)} ${(high - value).toFixed(2)}`;
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

function chart(pose, curve, starts, onSeek) {
  const figure = text("figure", "curve");
  const caption = text("figcaption", "");
  const values = text("span", "values");
  const sides = Object.entries(curve.sides).map(([side, angles]) => ({ side, angles, shown: text("span", side) }));
  values.append(...sides.map(({ shown }) => shown));
  caption.append(text("span", "", curve.name), values);

  const [low, high] = range(curve.sides);
  const svg = shape("svg", {
    viewBox: `0 0 ${pose.end} ${high - low}`,
    preserveAspectRatio: "none",
    role: "img",
    "aria-label": summary(curve),
  });
  const lines = [];
  for (let y = 0; y <= high - low; y += GRID) lines.push(`M0 ${y}H${pose.end}`);
  svg.append(shape("path", { class: "grid", d: lines.join("") }));
  // The left side is drawn over the right one.
  for (const { side, angles } of [...sides].reverse()) {
    svg.append(shape("path", { class: side, d: path({ times: pose.times, starts, high }, angles) }));
  }
  const now = shape("path", { class: "now" });
  svg.append(now);
  const scale = text("div", "scale");
  scale.setAttribute("aria-hidden", "true");
  scale.append(text("span", "", degrees(high)), text("span", "", degrees(low)));
  const plot = text("div", "plot");
  plot.append(scale, svg);

  const point = (event) => {
    const { left, width } = svg.getBoundingClientRect();
    const share = Math.min(1, Math.max(0, (event.clientX - left) / width));
    onSeek(pose.at(share * pose.end));
  };
  svg.addEventListener("pointerdown", (event) => {
    svg.setPointerCapture(event.pointerId);
    point(event);
  });
  svg.addEventListener("pointermove", (event) => {
    if (svg.hasPointerCapture(event.pointerId)) point(event);
  });

  figure.append(caption, plot);
  const show = (index) => {
    const time = pose.times[index] ?? 0;
    now.setAttribute("d", `M${time} 0V${high - low}`);
    for (const { angles, shown } of sides) shown.textContent = degrees(angles[index]);
  };
  return { figure, show };
}

/** Fills `main` and `more` with the charts of a person; returns the function that moves the marker to a frame. */
export function angleCharts({ main, more }, pose, person, onSeek) {
  const [curves, starts] = [pose.curves(person), pose.trackStarts(person)];
  const charts = (isMain) => curves.filter(({ name }) => MAIN.includes(name) === isMain).map((curve) => chart(pose, curve, starts, onSeek));
  const [first, rest] = [charts(true), charts(false)];
  main.replaceChildren(...first.map(({ figure }) => figure));
  more.replaceChildren(...rest.map(({ figure }) => figure));
  return (index) => [...first, ...rest].forEach(({ show }) => show(index));
}

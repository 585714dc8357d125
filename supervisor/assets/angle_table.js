// The joint angles in a span of time as numbers: the range of motion, and a table to save. Loaded when asked for.

import { degrees } from "./format.js";

const SIDES = ["left", "right", "trunk"];

/** The frames in a span. */
const within = (pose, span) => pose.times.flatMap((time, index) => (span.has(time) ? [index] : []));

/** Minimum, maximum and range of each angle and side, in whole degrees. */
function motion(pose, person, span) {
  const frames = within(pose, span);
  return pose.curves(person).flatMap(({ name, sides }) => Object.entries(sides).map(([side, angles]) => {
    const seen = frames.map((index) => angles[index]).filter(Number.isFinite);
    const low = Math.round(seen.reduce((a, b) => Math.min(a, b), Infinity));
    const high = Math.round(seen.reduce((a, b) => Math.max(a, b), -Infinity));
    return { name, side, low, high, range: high - low };
  }));
}

/** The rows of the table of the range of motion. */
export function motionRows(pose, person, span) {
  return motion(pose, person, span).map(({ name, side, low, high, range }) => {
    const row = document.createElement("tr");
    const head = document.createElement("th");
    head.scope = "row";
    head.textContent = side === "trunk" ? name : `${name}, ${side}`;
    row.append(head, ...[low, high, range].map((angle) => {
      const cell = document.createElement("td");
      cell.textContent = degrees(angle);
      return cell;
    }));
    return row;
  });
}

/** The angles that are shown as CSV, with the names of joint_angles.csv; what is not shown is empty. */
export function table(pose, person, span) {
  const curves = pose.curves(person);
  const columns = SIDES.flatMap((side) => curves.filter(({ sides }) => sides[side]).map(({ name, sides }) => {
    const joint = name.toLowerCase().replaceAll(" ", "_");
    return { name: side === "trunk" ? `${joint}_deg` : `${side}_${joint}_deg`, angles: sides[side] };
  }));
  const number = (angle) => (Number.isFinite(angle) ? angle.toFixed(2) : "");
  const rows = within(pose, span).map((index) => {
    const { frame_id: frame, time_s: time, source_time_s: source } = pose.frames[index];
    return [frame, person, time.toFixed(6), ...columns.map(({ angles }) => number(angles[index])), source.toFixed(6)];
  });
  const head = ["frame_id", "person_id", "time_s", ...columns.map(({ name }) => name), "source_time_s"];
  return [head, ...rows].map((cells) => `${cells.join(",")}\n`).join("");
}

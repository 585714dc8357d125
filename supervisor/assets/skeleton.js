// Draws the people of one frame on a canvas that lies over the video.

import { VISIBILITY_MIN } from "./visibility.js";

// Fixed colours, the same as in the overlay video of the service.
const FACE = "#ffd666";
const TORSO = "#f2f4f5";
export const LEFT = "#40b4ff";
export const RIGHT = "#ff8240";
const EDGE = "rgb(0 0 0 / 55%)";

const TRUNK = new Set([11, 12, 23, 24]);
/** Opacity of the people who are not selected. */
const DIMMED = 0.55;

/** Landmarks further than this outside the frame, in frame widths or heights, are not drawn. */
const OUTSIDE_MAX = 4;

/** The colour of a connection between two landmarks. */
export function limbColour(from, to) {
  if (to <= 10) return FACE;
  if (TRUNK.has(from) && TRUNK.has(to)) return TORSO;
  return to % 2 ? LEFT : RIGHT;
}

const isSeen = (point) =>
  point.visibility >= VISIBILITY_MIN && Math.abs(point.x) < OUTSIDE_MAX && Math.abs(point.y) < OUTSIDE_MAX;

/** Sets the canvas to the resolution of the screen. */
export function fit(canvas) {
  const { width, height } = canvas.getBoundingClientRect();
  const scale = window.devicePixelRatio || 1;
  const size = [Math.round(width * scale), Math.round(height * scale)];
  if (canvas.width !== size[0] || canvas.height !== size[1]) [canvas.width, canvas.height] = size;
}

export function clear(canvas) {
  canvas.getContext("2d").clearRect(0, 0, canvas.width, canvas.height);
}

/** Draws all people of a frame: the selected one opaque, each with a number if there are several. */
export function draw(canvas, frame, pose, chosen) {
  clear(canvas);
  const context = canvas.getContext("2d");
  const unit = Math.max(2, Math.max(canvas.width, canvas.height) / 260);
  // The selected person is drawn last, on top of the others.
  const people = [...frame.people].sort((a, b) => (a.person_id === chosen) - (b.person_id === chosen));
  context.lineCap = "round";
  for (const person of people) {
    context.globalAlpha = person.person_id === chosen ? 1 : DIMMED;
    body(context, person.landmarks, pose.connections, unit);
    if (pose.people.length > 1) number(context, person, unit);
  }
  context.globalAlpha = 1;
}

function body(context, landmarks, connections, unit) {
  const at = (index) => place(context, landmarks[index]);
  const lines = connections.filter((ends) => ends.every((index) => isSeen(landmarks[index])));
  // All edges first, so that no edge covers another limb.
  for (const [width, paint] of [[unit * 2, () => EDGE], [unit, limbColour]]) {
    context.lineWidth = width;
    for (const [from, to] of lines) {
      context.strokeStyle = paint(from, to);
      context.beginPath();
      context.moveTo(...at(from));
      context.lineTo(...at(to));
      context.stroke();
    }
  }
  for (const index of landmarks.keys()) {
    if (isSeen(landmarks[index])) dot(context, at(index), index <= 10 ? unit * 0.7 : unit);
  }
}

const place = ({ canvas }, point) => [point.x * canvas.width, point.y * canvas.height];

function dot(context, [x, y], radius) {
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.fillStyle = "#fff";
  context.fill();
  context.lineWidth = radius * 0.5;
  context.strokeStyle = EDGE;
  context.stroke();
}

/** Draws the number of a person above the head. */
function number(context, { person_id: id, landmarks }, unit) {
  const seen = landmarks.filter(isSeen).map((point) => place(context, point));
  if (!seen.length) return;
  const [x, y] = seen.reduce((highest, point) => (point[1] < highest[1] ? point : highest));
  const size = unit * 7;
  context.font = `700 ${size}px system-ui, sans-serif`;
  context.textAlign = "center";
  context.lineJoin = "round";
  context.lineWidth = unit * 1.5;
  context.strokeStyle = EDGE;
  context.fillStyle = "#fff";
  // The highest landmarks are the eyes: the rest of the head is above them.
  const at = [String(id), x, Math.max(size, y - unit * 9)];
  context.strokeText(...at);
  context.fillText(...at);
}

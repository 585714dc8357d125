// Joint angles written beside the joints in the picture.

import { degrees } from "./format.js";
import { VISIBILITY_MIN } from "./visibility.js";
import { LEFT, RIGHT } from "./skeleton.js";

/** The angles that are shown, and the landmarks they are written at. */
const SIDED = [["shoulder_flexion", 11], ["elbow_flexion", 13], ["hip_flexion", 23], ["knee_flexion", 25], ["ankle_dorsiflexion", 27]];
const PLACES = [
  ...SIDED.map(([joint, landmark]) => ({ angle: `left_${joint}_deg`, landmark, colour: LEFT })),
  ...SIDED.map(([joint, landmark]) => ({ angle: `right_${joint}_deg`, landmark: landmark + 1, colour: RIGHT })),
];
const BACK = "rgb(0 0 0 / 72%)";
/** Smallest text, in pixels of the page. */
const TEXT_MIN = 11;

/** A layer of a `Screen` that shows the angles of a person. */
export function readOuts(pose, id) {
  const angles = pose.angles(id);
  return (canvas, frame, index) => {
    const person = frame.people.find(({ person_id: other }) => other === id);
    if (!person) return;
    const context = canvas.getContext("2d");
    const size = Math.round(Math.max(TEXT_MIN * (window.devicePixelRatio || 1), Math.max(canvas.width, canvas.height) / 46));
    context.font = `700 ${size}px system-ui, sans-serif`;
    context.textBaseline = "middle";
    context.textAlign = "center";
    const middle = centre(person.landmarks) * canvas.width;
    const taken = [];
    for (const { angle, landmark, colour } of PLACES) {
      const [point, value] = [person.landmarks[landmark], angles[angle][index]];
      if (!Number.isFinite(value) || point.visibility < VISIBILITY_MIN) continue;
      const text = degrees(value);
      const box = place(canvas, { x: point.x * canvas.width, y: point.y * canvas.height }, {
        width: context.measureText(text).width + size * 0.6, height: Math.round(size * 1.3), middle, taken,
      });
      taken.push(box);
      write(context, text, box, colour);
    }
  };
}

const centre = (landmarks) => [11, 12, 23, 24].reduce((sum, index) => sum + landmarks[index].x / 4, 0);

/** A free box beside a joint, on the side away from the middle of the body, within the picture. */
function place(canvas, { x, y }, { width, height, middle, taken }) {
  const left = x < middle ? x - height - width : x + height;
  const box = {
    x: Math.min(canvas.width - width, Math.max(0, left)),
    // Whole pixels, which add up exactly.
    y: Math.round(Math.min(canvas.height - height, Math.max(0, y - height / 2))),
    width,
    height,
  };
  const hides = (other) => Math.abs(other.y - box.y) < height
    && other.x < box.x + width && box.x < other.x + other.width;
  // Each turn goes below one of the others, of which there are few.
  for (let other; (other = taken.find(hides));) box.y = other.y + height;
  return box;
}

function write(context, text, { x, y, width, height }, colour) {
  context.fillStyle = BACK;
  context.beginPath();
  context.roundRect(x, y, width, height, height / 4);
  context.fill();
  context.fillStyle = colour;
  context.fillText(text, x + width / 2, y + height / 2);
}

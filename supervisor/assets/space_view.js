// The pose of the selected person in space, in step with the player: it can be turned, over a ground with axes.

import { AS_FILMED, OrbitCamera } from "./orbit_camera.js";
import { degrees } from "./format.js";
import { VISIBILITY_MIN } from "./visibility.js";
import { clear, fit, limbColour } from "./skeleton.js";

const element = (id) => document.getElementById(id);

/** Half the side of the ground, and of its squares the whole one, in metres. */
const GROUND_M = 1;
const SQUARE_M = 0.5;
const FEET = [27, 28, 29, 30, 31, 32];
const LINE = "rgb(255 255 255 / 28%)";
const AXIS = "rgb(255 255 255 / 80%)";
/** What an arrow key turns, and a pixel of a drag, in degrees. */
const KEY_STEP = 10;
const DRAG_STEP = 0.5;
/** The angles of the text alternative. */
const TOLD = [["knee flexion", "knee_flexion"], ["hip flexion", "hip_flexion"], ["elbow flexion", "elbow_flexion"]];

export class SpaceView {
  #canvas = element("space-canvas");
  #camera = new OrbitCamera();
  #screen;
  /** The angles of the person, and the pose and person that they are of. */
  #angles = { pose: null, person: null, values: {} };
  #isPlaying = false;

  /** Shows what a `Screen` shows. */
  constructor(screen) {
    this.#screen = screen;
    const canvas = this.#canvas;
    const looks = {
      "space-reset": AS_FILMED,
      "space-side": { ...AS_FILMED, yaw: 90 },
      "space-above": { yaw: 0, pitch: 90 },
    };
    for (const [id, look] of Object.entries(looks)) element(id).addEventListener("click", () => this.#look(look));
    canvas.addEventListener("keydown", (event) => this.#press(event));
    let last = null;
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      last = event;
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!canvas.hasPointerCapture(event.pointerId)) return;
      this.#turn((event.clientX - last.clientX) * DRAG_STEP, (event.clientY - last.clientY) * DRAG_STEP);
      last = event;
    });
    new ResizeObserver(() => this.#paint()).observe(canvas);
  }

  /** Follows the player. */
  sync({ isPlaying }) {
    this.#isPlaying = isPlaying;
    this.#paint();
  }

  #press(event) {
    const turns = {
      ArrowLeft: [-KEY_STEP, 0],
      ArrowRight: [KEY_STEP, 0],
      ArrowUp: [0, -KEY_STEP],
      ArrowDown: [0, KEY_STEP],
    };
    if (!Object.hasOwn(turns, event.key) || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    this.#turn(...turns[event.key]);
  }

  #turn(right, down) {
    const { yaw, pitch } = this.#camera;
    this.#look({ yaw: yaw + right, pitch: pitch + down });
  }

  #look(direction) {
    this.#camera.look(direction);
    this.#paint();
  }

  #paint() {
    const { pose, person: id, frame } = this.#screen;
    if (!pose || element("space").hidden) return;
    fit(this.#canvas);
    clear(this.#canvas);
    const person = pose.frames[frame]?.people.find(({ person_id: other }) => other === id);
    const project = this.#camera.projection(this.#canvas);
    const context = this.#canvas.getContext("2d");
    const unit = Math.max(2, this.#canvas.width / 220);
    ground(context, project, unit);
    if (person) body(context, project, standing(person.landmarks), pose.connections, unit);
    // While frames pass, a text about one of them would be out of date at once.
    if (!this.#isPlaying) this.#canvas.setAttribute("aria-label", this.#description(person, frame));
  }

  #description(person, frame) {
    const { yaw, pitch } = this.#camera;
    const view = `Pose in 3D, turned by ${Math.round(yaw)}° and seen from ${Math.round(pitch)}° above`;
    if (!person) return `${view}: nobody is found in this frame.`;
    const { pose, person: id } = this.#screen;
    if (this.#angles.pose !== pose || this.#angles.person !== id) {
      this.#angles = { pose, person: id, values: pose.angles(id) };
    }
    const value = (side, name) => degrees(this.#angles.values[`${side}_${name}_deg`][frame]);
    const told = TOLD.map(([words, name]) => `${words} left ${value("left", name)}, right ${value("right", name)}`);
    return `${view}: ${told.join("; ")}.`;
  }
}

/** Landmarks in metres, X to the right, Y up, Z to the camera, with the lowest foot on the ground. */
function standing(landmarks) {
  const ground = Math.max(...FEET.map((index) => landmarks[index].world[1]));
  return landmarks.map(({ world: [x, y, z], visibility }) => ({ place: [x, ground - y, -z], isSeen: visibility >= VISIBILITY_MIN }));
}

function line(context, from, to) {
  context.beginPath();
  context.moveTo(from.x, from.y);
  context.lineTo(to.x, to.y);
  context.stroke();
}

/** Draws the ground in squares, and the axes at its far left corner. */
function ground(context, project, unit) {
  context.lineCap = "round";
  context.lineWidth = unit / 2;
  context.strokeStyle = LINE;
  for (let at = -GROUND_M; at <= GROUND_M; at += SQUARE_M) {
    line(context, project([at, 0, -GROUND_M]), project([at, 0, GROUND_M]));
    line(context, project([-GROUND_M, 0, at]), project([GROUND_M, 0, at]));
  }
  context.strokeStyle = AXIS;
  context.fillStyle = AXIS;
  context.font = `600 ${unit * 5}px system-ui, sans-serif`;
  context.textAlign = "center";
  context.textBaseline = "middle";
  const corner = [-GROUND_M, 0, -GROUND_M];
  for (const [axis, name] of ["X", "Y", "Z"].entries()) {
    const along = (length) => project(corner.map((value, index) => (index === axis ? value + length : value)));
    line(context, along(0), along(SQUARE_M));
    const { x, y } = along(SQUARE_M * 1.2);
    context.fillText(name, x, y);
  }
}

/** Draws the limbs, the nearest last. */
function body(context, project, landmarks, connections, unit) {
  const points = landmarks.map(({ place }) => project(place));
  const limbs = connections.filter((ends) => ends.every((index) => landmarks[index].isSeen));
  const nearness = ([from, to]) => points[from].near + points[to].near;
  context.lineWidth = unit * 1.5;
  for (const [from, to] of limbs.sort((a, b) => nearness(a) - nearness(b))) {
    context.strokeStyle = limbColour(from, to);
    line(context, points[from], points[to]);
  }
  context.fillStyle = "#fff";
  for (const index of landmarks.keys()) {
    if (!landmarks[index].isSeen) continue;
    context.beginPath();
    context.arc(points[index].x, points[index].y, unit * (index <= 10 ? 0.6 : 1), 0, 2 * Math.PI);
    context.fill();
  }
}

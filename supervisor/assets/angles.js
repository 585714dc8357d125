// The joint angles of a pose, with the names, signs and zeros of joint_angles.csv: degrees, zero in upright
// standing with hanging arms; flexion, dorsiflexion and abduction are positive (ISB). docs/outputs.md defines each.

/** Least share of a limb in the sagittal plane for its flexion to be defined: ten degrees. */
const SAGITTAL_SHARE_MIN = 0.17;
/** A length below this, in metres, has no direction. */
const LENGTH_M_MIN = 1e-6;
/** Middle of the range of a hip and a shoulder: where the turns of a direction are counted from. */
const LIMB_MIDDLE_DEG = 60;

const TRUNK = [11, 12, 23, 24];
const DEGREES = 180 / Math.PI;

const subtract = (a, b) => a.map((value, axis) => value - b[axis]);
const negative = (v) => v.map((value) => -value);
const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
const cross = (a, b) => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];

/** NaN where there is no direction, which passes through all that follows. */
function unit(v) {
  const length = Math.sqrt(dot(v, v));
  return v.map((value) => (length > LENGTH_M_MIN ? value / length : NaN));
}

/** The angle between two directions. */
const between = (a, b) => Math.acos(Math.min(1, Math.max(-1, dot(unit(a), unit(b))))) * DEGREES;

/** Directions of a part of the body: along `up`, and along what of `right` is orthogonal to it. */
function axes(upwards, rightwards) {
  const up = unit(upwards);
  const forwards = unit(cross(up, rightwards));
  return { up, forwards, right: cross(forwards, up) };
}

function flexion({ forwards, up }, segment) {
  const limb = unit(segment);
  const [ahead, down] = [dot(limb, forwards), -dot(limb, up)];
  return Math.hypot(ahead, down) >= SAGITTAL_SHARE_MIN ? Math.atan2(ahead, down) * DEGREES : NaN;
}

function abduction({ right }, segment, outwards) {
  return Math.asin(Math.min(1, Math.max(-1, outwards * dot(unit(segment), right)))) * DEGREES;
}

/** Vectors between landmarks in metres, X to the picture's right, Y up, Z to the camera. */
class Body {
  constructor(landmarks) {
    this.points = landmarks.map(({ world: [x, y, z] }) => [x, -y, -z]);
    this.trunk = subtract(this.#middle(11, 12), this.#middle(23, 24));
    this.pelvis = axes(this.trunk, this.segment(23, 24));
    this.chest = axes(this.trunk, this.segment(11, 12));
    const [x, , z] = this.segment(23, 24);
    /** As the pelvis, but upright in the picture. */
    this.level = axes([0, 1, 0], [x, 0, z]);
  }

  segment(from, to) {
    return subtract(this.points[to], this.points[from]);
  }

  #middle(a, b) {
    return this.points[a].map((value, axis) => (value + this.points[b][axis]) / 2);
  }
}

/** The angles of one side: name, landmarks that it depends on, and its value for a body. */
function side(name, shift, outwards) {
  const [shoulder, elbow, wrist] = [11 + shift, 13 + shift, 15 + shift];
  const [hip, knee, ankle, heel, toe] = [23 + shift, 25 + shift, 27 + shift, 29 + shift, 31 + shift];
  const angle = (joint, landmarks, of, middle = null) => ({ name: `${name}_${joint}_deg`, landmarks, of, middle });
  return [
    angle("hip_flexion", [...TRUNK, knee], (body) => flexion(body.pelvis, body.segment(hip, knee)), LIMB_MIDDLE_DEG),
    angle("hip_abduction", [...TRUNK, knee], (body) => abduction(body.pelvis, body.segment(hip, knee), outwards)),
    angle("knee_flexion", [hip, knee, ankle], (body) => between(body.segment(hip, knee), body.segment(knee, ankle))),
    angle("ankle_dorsiflexion", [knee, ankle, heel, toe],
      (body) => 90 - between(negative(body.segment(knee, ankle)), body.segment(heel, toe))),
    angle("shoulder_flexion", [...TRUNK, elbow], (body) => flexion(body.chest, body.segment(shoulder, elbow)), LIMB_MIDDLE_DEG),
    angle("shoulder_abduction", [...TRUNK, elbow], (body) => abduction(body.chest, body.segment(shoulder, elbow), outwards)),
    angle("elbow_flexion", [shoulder, elbow, wrist], (body) => between(body.segment(shoulder, elbow), body.segment(elbow, wrist))),
  ];
}

function rotation({ pelvis, chest }) {
  return Math.atan2(dot(cross(pelvis.right, chest.right), pelvis.up), dot(pelvis.right, chest.right)) * DEGREES;
}

/** All angles, in the order of the table's columns. */
export const ANGLES = [
  ...side("left", 0, -1),
  ...side("right", 1, 1),
  { name: "trunk_flexion_deg", landmarks: TRUNK, middle: 0,
    of: ({ trunk, level }) => Math.atan2(dot(trunk, level.forwards), trunk[1]) * DEGREES },
  { name: "trunk_lateral_flexion_deg", landmarks: TRUNK, middle: 0,
    of: ({ trunk, level }) => Math.atan2(dot(trunk, level.right), trunk[1]) * DEGREES },
  { name: "trunk_rotation_deg", landmarks: TRUNK, middle: 0, of: rotation },
];

/** The same direction, at most half a turn away. */
const nearest = (angle, to) => angle - 360 * Math.ceil((angle - to) / 360 - 0.5);

/**
 * The angles of one person over time: for each of ANGLES its values, NaN where it is not defined or the person is
 * not there (null). A direction has no jump of 360 degrees between two frames in a row of one track; `starts` has the
 * indices at which tracks begin.
 */
export function jointAngles(poses, starts) {
  const bodies = poses.map((landmarks) => landmarks && new Body(landmarks));
  return ANGLES.map(({ of, middle }) => {
    let before = NaN;
    return bodies.map((body, index) => {
      const angle = body ? of(body) : NaN;
      if (starts.has(index)) before = NaN;
      before = middle === null ? angle : nearest(angle, Number.isNaN(before) ? middle : before);
      return before;
    });
  });
}

// The pose data of a job, indexed by time.

/** The joints shown as curves: the angle at the middle landmark of each triple. */
export const JOINTS = [
  { name: "Knee", left: [23, 25, 27], right: [24, 26, 28] },
  { name: "Hip", left: [11, 23, 25], right: [12, 24, 26] },
  { name: "Elbow", left: [11, 13, 15], right: [12, 14, 16] },
  { name: "Shoulder", left: [23, 11, 13], right: [24, 12, 14] },
];

/** Landmarks less visible than this are neither drawn nor measured. */
export const VISIBILITY_MIN = 0.5;

/** Half a frame of the display: the tolerance between the player's clock and a frame's time. */
const CLOCK_SLACK_S = 0.008;

/** Degrees between the bones that meet at `b`, from positions in metres; NaN if one is not visible. */
export function angle(landmarks, [a, b, c]) {
  const points = [a, b, c].map((index) => landmarks[index]);
  if (points.some((point) => !point || point.visibility < VISIBILITY_MIN)) return NaN;
  const [from, at, to] = points.map((point) => point.world);
  const u = at.map((value, axis) => from[axis] - value);
  const v = at.map((value, axis) => to[axis] - value);
  const dot = u[0] * v[0] + u[1] * v[1] + u[2] * v[2];
  const cosine = dot / (Math.hypot(...u) * Math.hypot(...v));
  return (Math.acos(Math.min(1, Math.max(-1, cosine))) * 180) / Math.PI;
}

/** The frames of a pose_data.json: times, people, and the joint angles of each person. */
export class PoseData {
  /** `start` is where the part of the video begins, in seconds. */
  constructor({ video, connections, frames }, start) {
    this.start = start;
    this.width = video.width;
    this.height = video.height;
    this.connections = connections;
    this.frames = frames;
    /** The time of each frame from the start of the part. */
    this.times = frames.map((frame) => frame.source_time_s - start);
    const last = this.times.at(-1) ?? 0;
    const step = frames.length > 1 ? last / (frames.length - 1) : 0.04;
    /** The time at which the last frame ends, in seconds. */
    this.end = last + step;
    /** The `person_id`s in ascending order. */
    this.people = [...new Set(frames.flatMap(({ people }) => people.map((person) => person.person_id)))];
    this.people.sort((a, b) => a - b);
  }

  curves(id) {
    const poses = this.frames.map(({ people }) => people.find((person) => person.person_id === id)?.landmarks);
    const curve = (triple) => poses.map((landmarks) => (landmarks ? angle(landmarks, triple) : NaN));
    return JOINTS.map(({ name, left, right }) => ({ name, left: curve(left), right: curve(right) }));
  }

  /** The index of the frame shown at a time: the last that is not later. */
  at(time) {
    let low = 0;
    let high = this.times.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.times[middle] <= time + CLOCK_SLACK_S) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}

// The pose data of a job, indexed by time.

import { ANGLES, jointAngles } from "./angles.js";
import { VISIBILITY_MIN } from "./visibility.js";

/** Half a frame of the display: the tolerance between the player's clock and a frame's time. */
const CLOCK_SLACK_S = 0.008;

/** The frames of a pose_data.json: times, people, and the joint angles of each person. */
export class PoseData {
  /** `start` is where the part of the video begins, in seconds. */
  constructor({ video, connections, frames }, start) {
    this.start = start;
    /** What the document says about the video. */
    this.video = video;
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

  /** The index of the first frame with a person, or 0. */
  get firstSeen() {
    return Math.max(0, this.frames.findIndex(({ people }) => people.length > 0));
  }

  /** The same frames with the people for whom this holds. */
  only(isShown) {
    const frames = this.frames.map((frame) => ({ ...frame, people: frame.people.filter(isShown) }));
    return new PoseData({ video: this.video, connections: this.connections, frames }, this.start);
  }

  /** The joint angles of a person, by the names of joint_angles.csv: one value for each frame. */
  angles(id) {
    const values = jointAngles(this.#poses(id), this.trackStarts(id));
    return Object.fromEntries(ANGLES.map(({ name }, index) => [name, values[index]]));
  }

  /** The same where the joint is visible, NaN elsewhere; the sides of a joint together. */
  curves(id) {
    const [poses, angles] = [this.#poses(id), this.angles(id)];
    const curves = new Map();
    for (const { name, landmarks } of ANGLES) {
      const [, side, joint] = name.match(/^(left|right|trunk)_(.+)_deg$/);
      const isSeen = (pose) => landmarks.every((index) => pose[index].visibility >= VISIBILITY_MIN);
      const values = angles[name].map((value, frame) => (poses[frame] && isSeen(poses[frame]) ? value : NaN));
      const words = (side === "trunk" ? `trunk_${joint}` : joint).replaceAll("_", " ");
      const title = words[0].toUpperCase() + words.slice(1);
      curves.set(title, { ...curves.get(title), [side]: values });
    }
    return [...curves].map(([title, sides]) => ({ name: title, sides }));
  }

  #poses(id) {
    return this.frames.map(({ people }) => people.find((person) => person.person_id === id)?.landmarks ?? null);
  }

  /** The indices of the frames in which a track of a person begins: curves have a break there. */
  trackStarts(id) {
    const starts = new Set();
    let last = null;
    for (const [index, { people }] of this.frames.entries()) {
      const track = people.find((person) => person.person_id === id)?.track_id;
      if (track === undefined || track === last) continue;
      starts.add(index);
      last = track;
    }
    return starts;
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

// The span of time that the charts show: all that was analysed, or a part of it. In seconds from the start of the poses.

/** Zooming in ends at so many frames. */
const FRAMES_MIN = 4;
/** How much of the span is before the player's position when the span has to move. */
const LEAD = 0.1;
/** Most marks on a time axis. */
const MARKS_MAX = 5;
const STEPS_S = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 3600];

export class TimeSpan {
  from = 0;
  to;
  #end;
  #least;

  /** All of `frames` frames that last until `end`. */
  constructor(end, frames) {
    this.#end = end;
    this.#least = Math.min(end, (FRAMES_MIN * end) / Math.max(1, frames));
    this.to = end;
  }

  get length() {
    return this.to - this.from;
  }

  get isWhole() {
    return this.length >= this.#end;
  }

  get isLeast() {
    return this.length <= this.#least;
  }

  has(time) {
    return time >= this.from && time <= this.to;
  }

  /** Shows what is between two times, or as much around it as has to be shown. */
  show(from, to) {
    const length = Math.min(this.#end, Math.max(this.#least, to - from));
    this.from = Math.min(this.#end - length, Math.max(0, (from + to - length) / 2));
    this.to = this.from + length;
  }

  /** Shows `factor` times as much time, around this one. */
  zoom(factor, around) {
    const centre = this.has(around) ? around : this.from + this.length / 2;
    const half = (this.length * factor) / 2;
    this.show(centre - half, centre + half);
  }

  /** Moves so that this time is shown; gives whether that was necessary. */
  follow(time) {
    if (this.has(time)) return false;
    const from = time - this.length * LEAD;
    this.show(from, from + this.length);
    return true;
  }
}

/** The marks of a time axis that begins at `origin`: for each the time from there, and its text. */
export function marks({ from, to }, origin) {
  const step = STEPS_S.find((seconds) => (to - from) / seconds <= MARKS_MAX) ?? to - from;
  const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  const first = Math.ceil((origin + from) / step - 1e-6);
  const last = Math.floor((origin + to) / step + 1e-6);
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, index) => {
    const time = (first + index) * step;
    return { time: time - origin, text: `${time.toFixed(digits)} s` };
  });
}

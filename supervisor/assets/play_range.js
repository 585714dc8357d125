// The part that is played: the whole video or from mark A to mark B, once or in a loop.

const element = (id) => document.getElementById(id);

export class PlayRange {
  #times = [];
  #end = 0;
  #from = null;
  #to = null;

  /** `frame` gives the index of the frame that is shown. */
  constructor(frame) {
    element("mark-a").addEventListener("click", () => this.#markFirst(frame()));
    element("mark-b").addEventListener("click", () => this.#markLast(frame()));
    element("unmark").addEventListener("click", () => {
      this.#unmark();
      element("mark-a").focus();
    });
  }

  /** Begins with the frames of another pose. */
  open({ times, end }) {
    this.#times = times;
    this.#end = end;
    this.#unmark();
  }

  get first() {
    return this.#from ?? 0;
  }

  get last() {
    return this.#to ?? Math.max(0, this.#times.length - 1);
  }

  get isLoop() {
    return element("loop").checked;
  }

  has(frame) {
    return frame >= this.first && frame <= this.last;
  }

  /** Whether all has been shown at a time of the part. */
  isOver(time) {
    return time >= (this.#times[this.last + 1] ?? this.#end);
  }

  /** A mark in the wrong order replaces the other one. */
  #markFirst(frame) {
    this.#from = frame;
    if (this.#to !== null && this.#to <= frame) this.#to = null;
    this.#show();
  }

  #markLast(frame) {
    this.#to = frame;
    if (this.#from !== null && this.#from >= frame) this.#from = null;
    this.#show();
  }

  #unmark() {
    this.#from = null;
    this.#to = null;
    this.#show();
  }

  #show() {
    for (const [id, name, frame] of [["mark-a", "A", this.#from], ["mark-b", "B", this.#to]]) {
      const text = frame === null ? `Set ${name}` : `${name}: frame ${frame + 1}`;
      element(id).textContent = text;
      element(id).setAttribute("aria-pressed", frame !== null);
    }
    const hasMarks = this.#from !== null || this.#to !== null;
    element("unmark").hidden = !hasMarks;
    element("range").hidden = !hasMarks;
    const most = Math.max(1, this.#times.length - 1);
    element("range").style.setProperty("--from", this.first / most);
    element("range").style.setProperty("--to", this.last / most);
  }
}

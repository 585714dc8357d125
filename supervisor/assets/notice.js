// The notice that work stands still, with the time until it is tried again. It counts down for the
// eye alone: a screen reader is told once, elsewhere.

const element = (id) => document.getElementById(id);

export class Notice {
  #timer = null;
  #onNow = () => {};

  constructor() {
    element("now").addEventListener("click", () => this.#onNow());
  }

  get isShown() {
    return !element("lost").hidden;
  }

  /** Says something that will pass by itself. */
  say(text) {
    clearInterval(this.#timer);
    element("lost-text").textContent = text;
    element("lost-next").hidden = true;
    element("lost").hidden = false;
  }

  /** Says why, and counts down. */
  wait(text, seconds, onNow) {
    this.say(text);
    this.#onNow = onNow;
    const end = performance.now() + seconds * 1000;
    const tick = () => {
      const left = Math.ceil((end - performance.now()) / 1000);
      element("countdown").textContent = left > 0 ? `Trying again in ${left} s.` : "Trying again\u00a0…";
      element("now").disabled = left <= 0;
    };
    tick();
    this.#timer = setInterval(tick, 250);
    element("lost-next").hidden = false;
  }

  /** Takes it away; tells whether there was one. */
  clear() {
    const wasShown = this.isShown;
    clearInterval(this.#timer);
    element("lost").hidden = true;
    return wasShown;
  }
}

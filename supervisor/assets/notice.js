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
      const left = Math.max(1, Math.ceil((end - performance.now()) / 1000));
      element("countdown").textContent = `Trying again in ${left} s.`;
    };
    tick();
    this.#timer = setInterval(tick, 250);
    element("lost-next").hidden = false;
  }

  /** Says that it is being tried. The button stays, so that nobody's focus is lost. */
  trying() {
    clearInterval(this.#timer);
    element("lost-text").textContent = "Trying to go on\u00a0…";
    element("countdown").textContent = "";
  }

  /** Takes it away; tells whether there was one. */
  clear() {
    const wasShown = this.isShown;
    clearInterval(this.#timer);
    if (element("lost").contains(document.activeElement)) element("work-title").focus();
    element("lost").hidden = true;
    return wasShown;
  }
}

// The notice of an interrupted upload or connection, with the countdown to the next attempt. The
// countdown is not announced: a screen reader reads the notice once, from `announce`.

const element = (id) => document.getElementById(id);

export class Notice {
  #timer = null;
  #onRetry = () => {};

  constructor() {
    element("now").addEventListener("click", () => this.#onRetry());
  }

  get isShown() {
    return !element("lost").hidden;
  }

  /** Shows a text without a countdown. */
  show(text) {
    clearInterval(this.#timer);
    element("lost-text").textContent = text;
    element("lost-next").hidden = true;
    element("lost").hidden = false;
  }

  /** Shows the reason and a countdown. */
  wait(text, seconds, onRetry) {
    this.show(text);
    this.#onRetry = onRetry;
    const end = performance.now() + seconds * 1000;
    const tick = () => {
      const left = Math.max(1, Math.ceil((end - performance.now()) / 1000));
      element("countdown").textContent = `Retrying in ${left} s.`;
    };
    tick();
    this.#timer = setInterval(tick, 250);
    element("lost-next").hidden = false;
  }

  /** Shows that an attempt is running. The button stays, so that the focus is not lost. */
  retrying() {
    clearInterval(this.#timer);
    element("lost-text").textContent = "Reconnecting…";
    element("countdown").textContent = "";
  }

  /** Hides the notice; returns whether it was shown. */
  clear() {
    const wasShown = this.isShown;
    clearInterval(this.#timer);
    if (element("lost").contains(document.activeElement)) element("work-title").focus();
    element("lost").hidden = true;
    return wasShown;
  }
}

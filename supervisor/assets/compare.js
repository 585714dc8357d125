// The choice of another result that is shown beside the player's own.

import * as link from "./link.js";
import * as own from "./own_videos.js";
import { Partner } from "./partner.js";

const element = (id) => document.getElementById(id);

export class Compare {
  #player;
  #partner = new Partner();
  /** Counts what is asked for: only the latest is shown. */
  #turn = 0;

  constructor(player) {
    this.#player = player;
    element("compare").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    element("partner-remove").addEventListener("click", () => {
      this.close();
      link.setOther(null);
      element("compare-open").focus();
    });
  }

  /** Shows the form, or hides it. */
  toggle() {
    const isShown = element("compare").hidden;
    this.#showForm(isShown);
    if (!isShown) return;
    this.#offer();
    element(element("compare-own-label").hidden ? "compare-link" : "compare-own").focus();
  }

  /** Shows a job beside the player's, and names it in the address. */
  async show(id) {
    const turn = ++this.#turn;
    element("compare-error").textContent = "";
    this.#player.remove(this.#partner);
    this.#partner.close();
    try {
      await this.#partner.open(id);
    } catch (problem) {
      if (turn === this.#turn) this.#fail(problem.message);
      return;
    }
    if (turn !== this.#turn) return;
    this.#player.add(this.#partner);
    link.setOther(id);
    this.#showForm(false);
  }

  close() {
    this.#turn += 1;
    this.#player.remove(this.#partner);
    this.#partner.close();
    this.#showForm(false);
  }

  #showForm(isShown) {
    element("compare").hidden = !isShown;
    element("compare-open").setAttribute("aria-expanded", isShown);
    element("compare-error").textContent = "";
  }

  #fail(text) {
    this.#showForm(true);
    element("compare-error").textContent = text;
  }

  /** Lists the finished videos of this browser besides the one that is shown. */
  #offer() {
    const { job } = link.read();
    const others = own.all().filter(({ id, state }) => state === "completed" && id !== job);
    element("compare-own-label").hidden = others.length === 0;
    element("compare-own").replaceChildren(...others.map(({ id, name }) => new Option(name, id)));
  }

  #submit() {
    const text = element("compare-link").value.trim();
    const isListed = text === "" && !element("compare-own-label").hidden;
    const id = isListed ? element("compare-own").value : text.match(/[0-9a-f]{32}/)?.[0];
    if (id) this.show(id);
    else this.#fail("That is not a link to a result. Copy the address of a result page, or its job's id.");
  }
}

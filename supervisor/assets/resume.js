// Offers to go on with an upload that this tab was busy with before the page was loaded again.

import * as tus from "./tus.js";
import * as unfinished from "./unfinished.js";
import * as words from "./words.js";

const element = (id) => document.getElementById(id);

export class Resume {
  #listeners;

  /**
   * Calls `listeners.chosen` with the options that were chosen, and `arrived` with the id of the
   * job if all has arrived.
   */
  constructor(listeners) {
    this.#listeners = listeners;
    element("drop-unfinished").addEventListener("click", () => this.#drop());
  }

  /** Looks for something to go on with, and asks the service how much of it has arrived. */
  async offer() {
    const kept = unfinished.recall();
    element("unfinished").hidden = true;
    if (!kept) return;
    let told = `“${kept.name}” has not arrived yet.`;
    try {
      const { offset, job } = await tus.look(kept.id);
      if (job) {
        unfinished.forget();
        this.#listeners.arrived(job);
        return;
      }
      told = `Of “${kept.name}”, ${words.bytes(offset)} of ${words.bytes(kept.size)} have arrived.`;
    } catch (problem) {
      if (problem.status === 404) {
        unfinished.forget();
        return;
      }
    }
    // Something else may have begun meanwhile.
    if (unfinished.recall()?.id !== kept.id || element("choose").hidden) return;
    this.#listeners.chosen(kept.fields);
    element("unfinished-text").textContent = told;
    element("unfinished").hidden = false;
  }

  #drop() {
    const kept = unfinished.recall();
    unfinished.forget();
    if (kept) tus.drop(kept.id).catch(() => {});
    element("unfinished").hidden = true;
    element("file").focus();
  }
}

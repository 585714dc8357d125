// Offers to resume an upload that was interrupted by a reload of the page.

import * as format from "./format.js";
import * as stored from "./stored_upload.js";
import * as tus from "./tus.js";

const element = (id) => document.getElementById(id);

export class Resume {
  #listeners;

  /**
   * Calls `listeners.found` with the options of the stored upload, or `submitted` with the id of the
   * job if the upload is complete.
   */
  constructor(listeners) {
    this.#listeners = listeners;
    element("drop-unfinished").addEventListener("click", () => this.#discard());
  }

  /** Nothing is offered, for example because the stored upload goes on. */
  withdraw() {
    element("unfinished").hidden = true;
  }

  /** Looks for a stored upload, and asks the service for its offset. */
  async offer() {
    const kept = stored.recall();
    this.withdraw();
    if (!kept) return;
    let text = `“${kept.name}” is not fully uploaded.`;
    try {
      const { offset, job } = await tus.fetchState(kept.id);
      if (job) {
        stored.forget();
        this.#listeners.submitted(job);
        return;
      }
      text = `“${kept.name}” is ${format.percent(offset / kept.size)} uploaded.`;
    } catch (problem) {
      if (problem.status === 404) {
        stored.forget();
        return;
      }
    }
    // The view or the stored upload may have changed during the request.
    if (stored.recall()?.id !== kept.id || element("choose").hidden) return;
    this.#listeners.found(kept.fields);
    element("unfinished-text").textContent = text;
    element("unfinished").hidden = false;
  }

  #discard() {
    const kept = stored.recall();
    stored.forget();
    if (kept) tus.remove(kept.id).catch(() => {});
    element("unfinished").hidden = true;
    element("file").focus();
  }
}

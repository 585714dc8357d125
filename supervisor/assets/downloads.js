// The files of a result: each by itself, all in one archive, and the link and the commands that lead to them.

import * as api from "./api.js";
import * as format from "./format.js";

const element = (id) => document.getElementById(id);

export class Downloads {
  #status = null;
  #acts;

  /** `acts.fileOf` gives the video of a job if this page has it, `acts.again` uploads one with options. */
  constructor(acts) {
    this.#acts = acts;
    element("others").addEventListener("toggle", () => this.#offerOthers());
    element("copy-link").addEventListener("click", () => copy("Link", `${location.origin}${location.pathname}#job=${this.#status.job_id}`));
    element("copy-curl").addEventListener("click", async () => {
      const { curlCommands } = await import("./commands.js");
      copy("Commands", curlCommands(this.#status, location.origin));
    });
  }

  /** Shows the files of a completed job. */
  open(status) {
    this.#status = status;
    const { job_id: id, urls } = status;
    const entries = formats((name) => urls[name]);
    element("downloads").replaceChildren(...entries.map((entry) => download(id, entry, urls[entry.dataset.format])));
    element("download-all").href = `/api/download/${id}/all`;
    element("copied").textContent = "";
    element("copy-text").hidden = true;
    element("others").hidden = formats((name) => !urls[name]).length === 0;
    element("others").open = false;
  }

  async #offerOthers() {
    if (!element("others").open) return;
    const { offerOthers } = await import("./other_formats.js");
    const { job_id: id, urls } = this.#status;
    const acts = { file: this.#acts.fileOf(id), again: this.#acts.again };
    offerOthers(this.#status, formats((name) => !urls[name]), acts);
  }
}

/** The entries of the formats whose names are wanted; the service has put all into the page. */
const formats = (isWanted) => [...element("formats-offered").content.children].filter(({ dataset }) => isWanted(dataset.format));

function download(id, entry, url) {
  const item = entry.cloneNode(true);
  item.querySelector("a").href = `/api/download/${id}/${entry.dataset.format}`;
  // The size is optional.
  api.size(url).then((bytes) => { if (bytes) item.querySelector(".size").textContent = format.bytes(bytes); }, () => {});
  return item;
}

/** Copies a text, or shows it for that where the browser does not let the page: without TLS, or if it is not allowed to. */
async function copy(name, text) {
  const place = element("copy-text");
  place.hidden = true;
  try {
    await navigator.clipboard.writeText(text);
    element("copied").textContent = `${name} copied.`;
  } catch {
    element("copied").textContent = "The browser does not let this page copy. Copy this text:";
    place.value = text;
    place.rows = text.split("\n").length + 2;
    place.hidden = false;
    place.select();
  }
}

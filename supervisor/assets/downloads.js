// The files of a result: each by itself, all in one archive, and the link and the commands that lead to them.

import * as api from "./api.js";
import * as format from "./format.js";

const element = (id) => document.getElementById(id);

export class Downloads {
  #status = null;

  constructor() {
    element("copy-link").addEventListener("click", () => copy("Link", `${location.origin}${location.pathname}#job=${this.#status.job_id}`));
    element("copy-curl").addEventListener("click", async () => {
      const { curlCommands } = await import("./commands.js");
      copy("Commands", curlCommands(this.#status, location.origin));
    });
  }

  /** Shows the files of a completed job; the service has put the texts of all formats into the page. */
  open(status) {
    this.#status = status;
    const { job_id: id, urls } = status;
    const entries = [...element("formats-offered").content.children].filter(({ dataset }) => urls[dataset.format]);
    element("downloads").replaceChildren(...entries.map((entry) => download(id, entry, urls[entry.dataset.format])));
    element("download-all").href = `/api/download/${id}/all`;
    element("copied").textContent = "";
    element("copy-text").hidden = true;
  }
}

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

// The formats that a result does not have: its video is processed once more, with the same options, as another job.
// Loaded when asked for.

import { optionsOf } from "./job_options.js";

const element = (id) => document.getElementById(id);
/** A file up to this size is compared by its content, which is read into memory for that. */
const COMPARED_BYTES_MAX = 64 << 20;

/** An entry of the list of formats, to be chosen. */
function choice(entry) {
  const label = document.createElement("label");
  label.className = "check";
  const box = document.createElement("input");
  Object.assign(box, { type: "checkbox", value: entry.dataset.format });
  const texts = document.createElement("span");
  texts.append(...entry.cloneNode(true).querySelectorAll("strong, .description"));
  texts.firstChild.after(" ");
  label.append(box, texts);
  return label;
}

/** Whether a file is the video of a job, as far as that can be told here. */
async function isVideoOf(file, { file_size_mb: size, sha256 }) {
  if (Math.round((file.size / (1 << 20)) * 100) / 100 !== size) return false;
  // Only pages that were loaded over TLS, or from this host, may compute it.
  if (!crypto.subtle || file.size > COMPARED_BYTES_MAX) return true;
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", await file.arrayBuffer()));
  return [...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("") === sha256;
}

/** Offers them; `file` is the video if this page has it, and `again` uploads a file with options. */
export function offerOthers(status, entries, { file, again }) {
  const chosen = () => [...element("others-list").querySelectorAll(":checked")].map(({ value }) => value);
  const refuse = (sentence) => { element("others-error").textContent = sentence; };
  const run = (video) => {
    const fields = optionsOf(status);
    if (chosen().length) again(video, { ...fields, formats: [fields.formats, ...chosen()].join(",") });
    else refuse("Choose at least one format.");
  };
  element("others-list").replaceChildren(...entries.map(choice));
  element("others-list").onchange = () => refuse("");
  refuse("");
  element("run-again").hidden = !file;
  element("run-again").onclick = () => run(file);
  element("others-file").hidden = Boolean(file);
  element("others-name").textContent = status.filename;
  element("again-file").onchange = async ({ target }) => {
    const [video] = target.files;
    target.value = "";
    if (!video) return;
    refuse("");
    if (await isVideoOf(video, status).catch(() => false)) run(video);
    else refuse(`${video.name} is not the video of this result. Select ${status.filename}, unchanged.`);
  };
}

// The requests of a resumable upload (tus 1.0.0), one function each. What to do when one fails is
// the sender's to say.

import { ask, problem, SILENCE_MS, unreachable } from "./api.js";
import { read } from "./file.js";

const PLACE = "/api/tus";
const SPOKEN = { "tus-resumable": "1.0.0" };

const soon = () => ({ cache: "no-store", signal: AbortSignal.timeout(SILENCE_MS) });

/** A name and its value, as metadata have them. */
function said([name, value]) {
  const bytes = new TextEncoder().encode(value);
  return `${name} ${btoa(String.fromCharCode(...bytes))}`;
}

/** Where an upload stands: the bytes that count, and the job once all do. */
function standing(header) {
  const offset = header("upload-offset");
  // Somebody else answered, such as the gate of a hotel's network.
  if (offset === null) throw unreachable();
  return { offset: Number(offset), job: header("job-id") };
}

/** Begins an upload; gives its id. The service says no before it gets a byte of the video. */
export async function begin(file, fields) {
  const metadata = Object.entries({ filename: file.name, ...fields }).map(said).join(",");
  const headers = { ...SPOKEN, "upload-length": String(file.size), "upload-metadata": metadata };
  const answer = await ask(PLACE, { method: "POST", headers, ...soon() });
  const place = answer.headers.get("location");
  if (place === null) throw unreachable();
  return place.split("/").at(-1);
}

export async function look(id) {
  const { headers } = await ask(`${PLACE}/${id}`, { method: "HEAD", headers: SPOKEN, ...soon() });
  return standing((name) => headers.get(name));
}

/** Gives an upload up; `keepalive`, because the page may be on its way out. */
export const drop = (id) => ask(`${PLACE}/${id}`, { method: "DELETE", headers: SPOKEN, keepalive: true });

/**
 * Adds a piece of the file at `offset`. XMLHttpRequest, because fetch does not tell how much of a
 * body has left: `sent` hears of each byte.
 */
export async function append(id, offset, piece, { sent, signal }) {
  const bytes = await read(piece);
  signal.throwIfAborted();
  const request = new XMLHttpRequest();
  let timer;
  const heard = () => {
    clearTimeout(timer);
    timer = setTimeout(() => request.abort(), 2 * SILENCE_MS);
  };
  const over = new Promise((resolve) => { request.onloadend = resolve; });
  request.upload.onprogress = ({ loaded }) => { heard(); sent(loaded); };
  signal.addEventListener("abort", () => request.abort(), { once: true });
  request.open("PATCH", `${PLACE}/${id}`);
  const headers = { ...SPOKEN, "upload-offset": offset, "content-type": "application/offset+octet-stream" };
  for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
  request.send(bytes);
  heard();
  await over;
  clearTimeout(timer);
  const header = (name) => request.getResponseHeader(name);
  if (request.status === 204) return standing(header);
  throw request.status ? problem(request.status, request.responseText, header("retry-after")) : unreachable();
}

// The requests of a resumable upload (tus 1.0.0), one function each. The caller handles failures.

import { ask, problem, TIMEOUT_MS, unreachable } from "./api.js";
import { read } from "./fingerprint.js";

const ENDPOINT = "/api/tus";
const VERSION = { "tus-resumable": "1.0.0" };

const limited = () => ({ cache: "no-store", signal: AbortSignal.timeout(TIMEOUT_MS) });

/** Encodes a name and value for `Upload-Metadata`. */
function metadataEntry([name, value]) {
  const bytes = new TextEncoder().encode(value);
  return `${name} ${btoa(String.fromCharCode(...bytes))}`;
}

/** The state of an upload: its offset, and the job once it is complete. */
function state(header) {
  const offset = header("upload-offset");
  // The response came from something else, such as a captive portal.
  if (offset === null) throw unreachable();
  return { offset: Number(offset), job: header("job-id") };
}

/** Creates an upload and returns its id. The service refuses before any byte of the video is sent. */
export async function create(file, fields) {
  const metadata = Object.entries({ filename: file.name, ...fields }).map(metadataEntry).join(",");
  const headers = { ...VERSION, "upload-length": String(file.size), "upload-metadata": metadata };
  const response = await ask(ENDPOINT, { method: "POST", headers, ...limited() });
  const location = response.headers.get("location");
  if (location === null) throw unreachable();
  return location.split("/").at(-1);
}

/** Asks for the state of an upload. */
export async function fetchState(id) {
  const { headers } = await ask(`${ENDPOINT}/${id}`, { method: "HEAD", headers: VERSION, ...limited() });
  return state((name) => headers.get(name));
}

/** Deletes an upload; `keepalive`, because the page may be closing. */
export const remove = (id) => ask(`${ENDPOINT}/${id}`, { method: "DELETE", headers: VERSION, keepalive: true });

/**
 * Appends a chunk of the file at `offset`. XMLHttpRequest, because fetch does not report upload
 * progress, which `sent` receives.
 */
export async function append(id, offset, chunk, { sent, signal }) {
  const bytes = await read(chunk);
  signal.throwIfAborted();
  const request = new XMLHttpRequest();
  let timer;
  const restartTimer = () => {
    clearTimeout(timer);
    timer = setTimeout(() => request.abort(), 2 * TIMEOUT_MS);
  };
  const finished = new Promise((resolve) => { request.onloadend = resolve; });
  request.upload.onprogress = ({ loaded }) => { restartTimer(); sent(loaded); };
  signal.addEventListener("abort", () => request.abort(), { once: true });
  request.open("PATCH", `${ENDPOINT}/${id}`);
  const headers = { ...VERSION, "upload-offset": offset, "content-type": "application/offset+octet-stream" };
  for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
  request.send(bytes);
  restartTimer();
  await finished;
  clearTimeout(timer);
  const header = (name) => request.getResponseHeader(name);
  if (request.status === 204) return state(header);
  throw request.status ? problem(request.status, request.responseText, header("retry-after")) : unreachable();
}

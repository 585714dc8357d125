// Talks to the service. A refusal becomes a Problem that carries the service's own sentence.

export class Problem extends Error {
  constructor(detail, facts = {}) {
    super(detail);
    this.code = facts.code ?? null;
    this.status = facts.status ?? 0;
  }
}

const UNREACHABLE = "The service cannot be reached; check the connection and try again.";

/** The problem told by an answer (RFC 9457), or the best that can be said without. */
function problem(status, text) {
  try {
    const { detail, title, code } = JSON.parse(text);
    if (detail || title) return new Problem(detail ?? title, { code, status });
  } catch {
    // Something in between answered, such as a proxy.
  }
  return new Problem(`The service answered with an error (${status}); try again later.`, { status });
}

async function ask(path, options) {
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new Problem(UNREACHABLE);
  }
  if (!response.ok) throw problem(response.status, await response.text());
  return response;
}

const json = async (path, options) => (await ask(path, options)).json();

export const about = () => json("/api");
export const status = (id) => json(`/api/status/${id}`);
export const cancel = (id) => json(`/api/cancel/${id}`, { method: "POST" });
export const cleanup = (id) => json(`/api/cleanup/${id}`, { method: "DELETE" });
export const document = (url) => json(url);

/** Size of a file in bytes, if the service tells it. A whole text comes compressed, a part does not. */
export async function size(url) {
  const { headers } = await ask(url, { headers: { range: "bytes=0-0" } });
  const length = Number(headers.get("content-range")?.split("/")[1]);
  return length > 0 ? length : null;
}

/**
 * Sends a video. XMLHttpRequest, because fetch does not tell how much of a body is sent.
 * `done` gives the accepted job; `abort` ends it all without a word.
 */
export function upload(file, fields, onProgress) {
  const request = new XMLHttpRequest();
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) form.append(name, value);
  form.append("file", file);
  const done = new Promise((resolve, reject) => {
    request.upload.onprogress = ({ loaded, total }) => onProgress(loaded, total);
    request.onload = () => {
      if (request.status !== 202) reject(problem(request.status, request.responseText));
      else resolve(JSON.parse(request.responseText));
    };
    request.onerror = () => reject(new Problem(UNREACHABLE));
  });
  request.open("POST", "/api/upload");
  request.send(form);
  return { done, abort: () => request.abort() };
}

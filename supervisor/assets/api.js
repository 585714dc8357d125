// Talks to the service. A refusal becomes a Problem that carries the service's own sentence.

export class Problem extends Error {
  constructor(detail, { code = null, status = 0, retryAfter = 0 } = {}) {
    super(detail);
    this.code = code;
    /** Of the answer; 0 if there was none. */
    this.status = status;
    /** Seconds the service asks to wait, if it does. */
    this.retryAfter = retryAfter;
  }
}

/** A line that is dead and does not say so is given up after this long. */
export const SILENCE_MS = 30_000;

export const unreachable = () =>
  new Problem("The service cannot be reached; check the connection and try again.");

/** The problem told by an answer (RFC 9457), or the best that can be said without. */
export function problem(status, text, retryAfter) {
  const facts = { status, retryAfter: Number(retryAfter) || 0 };
  try {
    const { detail, title, code } = JSON.parse(text);
    if (detail || title) return new Problem(detail ?? title, { code, ...facts });
  } catch {
    // Something in between answered, such as a proxy.
  }
  return new Problem(`The service answered with an error (${status}); try again later.`, facts);
}

export async function ask(path, options) {
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw unreachable();
  }
  if (response.ok) return response;
  throw problem(response.status, await response.text(), response.headers.get("retry-after"));
}

const json = async (path, options) => (await ask(path, options)).json();

export const about = () => json("/api");
export const status = (id) => json(`/api/status/${id}`, { signal: AbortSignal.timeout(SILENCE_MS) });
export const cancel = (id) => json(`/api/cancel/${id}`, { method: "POST" });
export const cleanup = (id) => json(`/api/cleanup/${id}`, { method: "DELETE" });
export const document = (url) => json(url);
/** What the catalogue has of a code: its cause, who cures it and how. */
export const entry = (code) => json(`/api/problems/${encodeURIComponent(code)}`);

/** Size of a file in bytes, if the service tells it. A whole text comes compressed, a part does not. */
export async function size(url) {
  const { headers } = await ask(url, { headers: { range: "bytes=0-0" } });
  const length = Number(headers.get("content-range")?.split("/")[1]);
  return length > 0 ? length : null;
}

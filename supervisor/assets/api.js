// Requests to the HTTP API. An error response becomes a Problem with the sentence of the service.

export class Problem extends Error {
  constructor(detail, { code = null, status = 0, retryAfter = 0 } = {}) {
    super(detail);
    this.code = code;
    /** The HTTP status; 0 if there was no response. */
    this.status = status;
    /** The seconds of `Retry-After`, or 0. */
    this.retryAfter = retryAfter;
  }
}

/** A request without a response is aborted after this time. */
export const TIMEOUT_MS = 30_000;

export const unreachable = () =>
  new Problem("Can't reach the service. Check your connection and try again.");

/** The problem of an error response (RFC 9457), or a generic one if the body is not a problem document. */
export function problem(status, text, retryAfter) {
  const facts = { status, retryAfter: Number(retryAfter) || 0 };
  try {
    const { detail, title, code } = JSON.parse(text);
    if (detail || title) return new Problem(detail ?? title, { code, ...facts });
  } catch {
    // The response came from something else, such as a proxy.
  }
  return new Problem(`The service returned an error (HTTP ${status}). Try again later.`, facts);
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
/** An id, which may come from the address of the page, as a part of a path. */
export const part = encodeURIComponent;
export const status = (id) => json(`/api/status/${part(id)}`, { signal: AbortSignal.timeout(TIMEOUT_MS) });
export const cancel = (id) => json(`/api/cancel/${part(id)}`, { method: "POST" });
export const cleanup = (id) => json(`/api/cleanup/${part(id)}`, { method: "DELETE" });
export const document = (url) => json(url);
/** The catalogue entry of an error code: its cause, who can fix it and how. */
export const entry = (code) => json(`/api/problems/${encodeURIComponent(code)}`);

/** The size of a file in bytes, or null. A range request, because a full response may be compressed. */
export async function size(url) {
  const { headers } = await ask(url, { headers: { range: "bytes=0-0" } });
  const length = Number(headers.get("content-range")?.split("/")[1]);
  return length > 0 ? length : null;
}

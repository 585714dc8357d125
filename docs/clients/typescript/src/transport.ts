// Single requests to the service, and when a failed one is worth another attempt.

import { ApiError, BodyScriptError, ConnectionLost } from "./errors.js";

/** Refused for now: no capacity, a request that took too long, or a gateway without its service. */
const TRANSIENT = new Set([408, 423, 429, 502, 503, 504, 507]);
/** More bytes of an upload are stored than the client was told; its next attempt asks for the offset. */
const OFFSET_CONFLICT = "offset_conflict";
const PAUSE_MS = { least: 500, most: 30_000 };

export interface Connection {
  baseUrl: string;
  headers: Record<string, string>;
  timeoutMs: number;
  patienceMs: number;
  signal: AbortSignal | null;
}

export class Transport {
  constructor(private readonly connection: Connection) {}

  /** The URL of a path of the service. */
  url(path: string): string {
    return this.connection.baseUrl.replace(/\/$/, "") + path;
  }

  /** Sends one request and passes the successful response on; `use` has the same time to read it. */
  async send<T>(path: string, init: RequestInit, use: (response: Response) => Promise<T> | T): Promise<T> {
    const { headers, timeoutMs, signal } = this.connection;
    signal?.throwIfAborted();
    const own = new AbortController();
    const stop = () => own.abort(signal?.reason);
    signal?.addEventListener("abort", stop);
    const timer = setTimeout(() => own.abort(), timeoutMs);
    try {
      const merged = { ...headers, ...(init.headers as Record<string, string> | undefined) };
      const response = await fetch(this.url(path), { ...init, headers: merged, signal: own.signal });
      if (!response.ok) throw await refused(response);
      return await use(response);
    } catch (error) {
      signal?.throwIfAborted();
      if (error instanceof BodyScriptError) throw error;
      throw new ConnectionLost(`${init.method ?? "GET"} ${this.url(path)}: ${String(error)}`, { cause: error });
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", stop);
    }
  }

  /**
   * Repeats an attempt that may be repeated until it succeeds. Gives up if an error is not transient, or if
   * `position` has not changed for `patienceMs`.
   */
  async patiently<T>(attempt: () => Promise<T>, position: () => number = () => 0): Promise<T> {
    let [pause, since, last] = [PAUSE_MS.least, Date.now(), position()];
    for (;;) {
      try {
        return await attempt();
      } catch (error) {
        if (!mayPass(error)) throw error;
        if (position() !== last) [pause, since, last] = [PAUSE_MS.least, Date.now(), position()];
        const asked = error instanceof ApiError ? error.retryAfterMs ?? 0 : 0;
        const wait = Math.max(pause, asked);
        if (Date.now() - since + wait > this.connection.patienceMs) throw error;
        await this.pause(wait);
        pause = Math.min(2 * pause, PAUSE_MS.most);
      }
    }
  }

  /** Waits; ends at once if the user aborts. */
  pause(ms: number): Promise<void> {
    const { signal } = this.connection;
    return new Promise((resolve, reject) => {
      const stop = () => {
        clearTimeout(timer);
        reject(signal?.reason);
      };
      const timer = setTimeout(() => {
        signal?.removeEventListener("abort", stop);
        resolve();
      }, ms);
      if (signal?.aborted) stop();
      signal?.addEventListener("abort", stop, { once: true });
    });
  }
}

function mayPass(error: unknown): boolean {
  if (error instanceof ApiError) return TRANSIENT.has(error.status) || error.code === OFFSET_CONFLICT;
  return error instanceof ConnectionLost;
}

/** The error in a response; of something between client and service it may have no code. */
async function refused(response: Response): Promise<ApiError> {
  const seconds = Number(response.headers.get("retry-after") ?? NaN);
  const retryAfterMs = Number.isFinite(seconds) ? seconds * 1000 : null;
  const problem = await response.json().catch(() => null);
  const { code, detail } = problem ?? { code: "unknown", detail: `HTTP ${response.status} ${response.statusText}` };
  return new ApiError(response.status, code, detail, retryAfterMs);
}

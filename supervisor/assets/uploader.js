// Uploads a video over an unreliable connection: in chunks, each from the offset the service
// reports, with a pause after each failure. Shows nothing itself.

import { Problem } from "./api.js";
import { fingerprint } from "./fingerprint.js";
import * as stored from "./stored_upload.js";
import * as tus from "./tus.js";

/** Chunk sizes in bytes: small on a slow connection and after a failure, so that little is sent twice. */
const CHUNK = { first: 256 << 10, least: 64 << 10, most: 1 << 20 };
const FAST_MS = 2000;
const SLOW_MS = 8000;
const PAUSE_S_MAX = 30;
/** Statuses worth a retry: no response, a lost offset, no capacity yet, a failing gateway. */
const RETRIABLE = new Set([0, 408, 409, 423, 429, 502, 503, 504, 507]);

/** Of these, those after which the service has certainly stored nothing. */
const NOTHING_STORED = new Set([429, 503, 507]);

const same = (one, other) => JSON.stringify(one) === JSON.stringify(other);

export class Uploader {
  #file;
  #fields;
  #listeners;
  #stop = new AbortController();
  #isDiscarded = false;
  #wake = () => {};
  #id = null;
  /** The last known offset, and whether it is certain: after a failure the service may have stored more. */
  #offset = 0;
  #isOffsetKnown = true;
  #chunk = CHUNK.first;

  /**
   * Calls `listeners.sent` with the bytes sent so far, `advanced` when the service has stored more,
   * `waiting` with the problem and the seconds until the retry, and `retrying` at the retry.
   */
  constructor(file, fields, listeners) {
    this.#file = file;
    this.#fields = fields;
    this.#listeners = listeners;
    /** Resolves to the id of the job, or null if stopped. */
    this.done = this.#run();
  }

  /** Retries at once. */
  retryNow() {
    this.#wake();
  }

  /** Stops; the stored part can be resumed later. */
  stop() {
    this.#stop.abort();
    this.#wake();
  }

  /** Stops and deletes the stored part, here and on the service. */
  discard() {
    this.#isDiscarded = true;
    stored.forget();
    this.stop();
  }

  async #run() {
    const { signal } = this.#stop;
    // The connection may be back: the system reports it, or the page becomes visible again.
    window.addEventListener("online", () => this.retryNow(), { signal });
    window.document.addEventListener("visibilitychange", () => this.retryNow(), { signal });
    try {
      await this.#resume();
      return await this.#uploadAll();
    } catch (problem) {
      if (signal.aborted) return null;
      stored.forget();
      if (this.#id) tus.remove(this.#id).catch(() => {});
      throw problem;
    } finally {
      // If discarded while the upload was being created, its id is known only now.
      if (this.#isDiscarded && this.#id) tus.remove(this.#id).catch(() => {});
      this.#stop.abort();
    }
  }

  /** Resumes the stored upload if file and options are the same. */
  async #resume() {
    const kept = stored.recall();
    if (!kept) return;
    if (same(kept.fields, this.#fields) && kept.mark === await fingerprint(this.#file)) {
      this.#id = kept.id;
      this.#isOffsetKnown = false;
    } else {
      stored.forget();
      tus.remove(kept.id).catch(() => {});
    }
  }

  /** Repeats steps until the job exists. */
  async #uploadAll() {
    let failures = 0;
    while (!this.#stop.signal.aborted) {
      const before = this.#offset;
      try {
        const job = await this.#step();
        if (job) {
          stored.forget();
          return job;
        }
      } catch (problem) {
        if (this.#stop.signal.aborted) return null;
        if (!RETRIABLE.has(problem.status)) throw problem;
        failures += 1;
        this.#isOffsetKnown &&= NOTHING_STORED.has(problem.status);
        // A service without capacity refuses a chunk only after part of it has been sent.
        this.#chunk = CHUNK.least;
        await this.#wait(problem, Math.max(problem.retryAfter, Math.min(PAUSE_S_MAX, 2 ** (failures - 1))));
      }
      if (this.#offset > before) {
        failures = 0;
        this.#listeners.advanced();
      }
    }
    return null;
  }

  async #step() {
    try {
      if (!this.#id) return await this.#create();
      return this.#accept(this.#isOffsetKnown ? await this.#sendChunk() : await tus.fetchState(this.#id));
    } catch (problem) {
      if (problem.status !== 404 || !this.#id) throw problem;
      this.#id = null;
      this.#offset = 0;
      throw new Problem("The service no longer has the uploaded part. Starting from the beginning.", { status: 409 });
    }
  }

  async #create() {
    const { name, size } = this.#file;
    const upload = { name, size, mark: await fingerprint(this.#file), fields: this.#fields };
    this.#id = await tus.create(this.#file, this.#fields);
    this.#isOffsetKnown = true;
    if (!this.#isDiscarded) stored.remember({ id: this.#id, ...upload });
    return null;
  }

  #accept({ offset, job }) {
    this.#offset = offset;
    this.#isOffsetKnown = true;
    this.#listeners.sent(offset);
    return job;
  }

  async #sendChunk() {
    const offset = this.#offset;
    const chunk = this.#file.slice(offset, offset + this.#chunk);
    const startedAt = performance.now();
    const state = await tus.append(this.#id, offset, chunk, {
      sent: (bytes) => this.#listeners.sent(offset + bytes),
      signal: this.#stop.signal,
    });
    const took = performance.now() - startedAt;
    if (took < FAST_MS) this.#chunk = Math.min(CHUNK.most, this.#chunk * 2);
    if (took > SLOW_MS) this.#chunk = Math.max(CHUNK.least, this.#chunk / 2);
    return state;
  }

  async #wait(problem, seconds) {
    this.#listeners.waiting(problem, seconds, this.#offset);
    await new Promise((resolve) => {
      const timer = setTimeout(resolve, seconds * 1000);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    if (!this.#stop.signal.aborted) this.#listeners.retrying();
  }
}

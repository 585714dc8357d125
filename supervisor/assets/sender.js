// Sends a video to its end whatever the line does: in pieces, each from where the service says
// that the upload stands, with a pause after each failure. Shows nothing itself.

import { Problem } from "./api.js";
import { mark } from "./file.js";
import * as tus from "./tus.js";
import * as unfinished from "./unfinished.js";

/** A piece is small on a slow line, so that little of it has to be sent twice. */
const PIECE = { first: 256 << 10, least: 64 << 10, most: 1 << 20 };
const QUICK_MS = 2000;
const SLOW_MS = 8000;
const PAUSE_S_MAX = 30;
/** Statuses that time or another try cures: no answer, a lost place, no room yet, a gateway in between. */
const PASSING = new Set([0, 408, 409, 423, 429, 502, 503, 504, 507]);

/** Of these, those that say that the service has taken nothing. */
const NOT_TAKEN = new Set([429, 503, 507]);

const same = (one, other) => JSON.stringify(one) === JSON.stringify(other);

export class Sender {
  #file;
  #fields;
  #listeners;
  #stop = new AbortController();
  #isGivenUp = false;
  #wake = () => {};
  #id = null;
  /** Bytes that count, as far as is known; whether the service may know of more. */
  #offset = 0;
  #isSure = true;
  #piece = PIECE.first;

  /**
   * Calls `listeners.sent` with the bytes that have left, `arrived` when more of them count,
   * `waiting` with the problem and the seconds until it is tried again, and `trying` then.
   */
  constructor(file, fields, listeners) {
    this.#file = file;
    this.#fields = fields;
    this.#listeners = listeners;
    /** Gives the id of the job; nothing if it was stopped. */
    this.done = this.#run();
  }

  /** Tries again at once. */
  hurry() {
    this.#wake();
  }

  /** Stops; what has arrived stays for another time. */
  stop() {
    this.#stop.abort();
    this.#wake();
  }

  /** Stops for good: nothing of it is left here or there. */
  giveUp() {
    this.#isGivenUp = true;
    unfinished.forget();
    this.stop();
  }

  async #run() {
    const { signal } = this.#stop;
    // The line may be back: the network says so, or the phone is taken up again.
    window.addEventListener("online", () => this.hurry(), { signal });
    window.document.addEventListener("visibilitychange", () => this.hurry(), { signal });
    try {
      await this.#pickUp();
      return await this.#persist();
    } catch (problem) {
      if (signal.aborted) return null;
      unfinished.forget();
      if (this.#id) tus.drop(this.#id).catch(() => {});
      throw problem;
    } finally {
      // A beginning that was under way when it was given up is known only now.
      if (this.#isGivenUp && this.#id) tus.drop(this.#id).catch(() => {});
      this.#stop.abort();
    }
  }

  /** Goes on with what was begun before, if it is the same. */
  async #pickUp() {
    const kept = unfinished.recall();
    if (!kept) return;
    if (same(kept.fields, this.#fields) && kept.mark === await mark(this.#file)) {
      this.#id = kept.id;
      this.#isSure = false;
    } else {
      unfinished.forget();
      tus.drop(kept.id).catch(() => {});
    }
  }

  /** Takes steps until there is a job. */
  async #persist() {
    let failures = 0;
    while (!this.#stop.signal.aborted) {
      const before = this.#offset;
      try {
        const job = await this.#step();
        if (job) {
          unfinished.forget();
          return job;
        }
      } catch (problem) {
        if (this.#stop.signal.aborted) return null;
        if (!PASSING.has(problem.status)) throw problem;
        failures += 1;
        this.#isSure &&= NOT_TAKEN.has(problem.status);
        if (!this.#isSure) this.#piece = Math.max(PIECE.least, this.#piece / 2);
        await this.#wait(problem, Math.max(problem.retryAfter, Math.min(PAUSE_S_MAX, 2 ** (failures - 1))));
      }
      if (this.#offset > before) {
        failures = 0;
        this.#listeners.arrived();
      }
    }
    return null;
  }

  async #step() {
    try {
      if (!this.#id) return await this.#begin();
      return this.#take(this.#isSure ? await this.#sendPiece() : await tus.look(this.#id));
    } catch (problem) {
      if (problem.status !== 404 || !this.#id) throw problem;
      this.#id = null;
      this.#offset = 0;
      throw new Problem("The service no longer has what had arrived; it is sent from the beginning.", { status: 409 });
    }
  }

  async #begin() {
    const { name, size } = this.#file;
    const upload = { name, size, mark: await mark(this.#file), fields: this.#fields };
    this.#id = await tus.begin(this.#file, this.#fields);
    this.#isSure = true;
    if (!this.#isGivenUp) unfinished.remember({ id: this.#id, ...upload });
    return null;
  }

  #take({ offset, job }) {
    this.#offset = offset;
    this.#isSure = true;
    this.#listeners.sent(offset);
    return job;
  }

  async #sendPiece() {
    const offset = this.#offset;
    const piece = this.#file.slice(offset, offset + this.#piece);
    const began = performance.now();
    const standing = await tus.append(this.#id, offset, piece, {
      sent: (bytes) => this.#listeners.sent(offset + bytes),
      signal: this.#stop.signal,
    });
    const took = performance.now() - began;
    if (took < QUICK_MS) this.#piece = Math.min(PIECE.most, this.#piece * 2);
    if (took > SLOW_MS) this.#piece = Math.max(PIECE.least, this.#piece / 2);
    return standing;
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
    if (!this.#stop.signal.aborted) this.#listeners.trying();
  }
}

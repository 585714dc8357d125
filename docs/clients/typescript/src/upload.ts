// A resumable upload (tus 1.0.0): in chunks, each from the offset that the service reports.

import { BodyScriptError } from "./errors.js";
import { asTexts, type Options } from "./options.js";
import type { Transport } from "./transport.js";

/** Reverse proxies accept bodies of this size by default. */
const CHUNK_BYTES = 1 << 20;
const VERSION = { "tus-resumable": "1.0.0" };

/** An upload that the service knows. `id` is also that of the later job; keep it to go on later. */
export class Upload {
  #offset = 0;
  #isOffsetKnown = false;
  #isComplete = false;

  constructor(private readonly transport: Transport, readonly id: string, private readonly video: Blob) {}

  /** Announces a video. The service refuses wrong options before any byte is sent. */
  static async create(transport: Transport, video: Blob, filename: string, options: Options): Promise<Upload> {
    const fields: [string, string][] = [["filename", filename], ...asTexts(options)];
    const headers = {
      ...VERSION,
      "upload-length": String(video.size),
      "upload-metadata": fields.map(([name, value]) => `${name} ${base64(value)}`).join(),
    };
    const location = await transport.patiently(() =>
      transport.send("/api/tus", { method: "POST", headers }, (response) => required(response, "location")),
    );
    return new Upload(transport, location.slice(location.lastIndexOf("/") + 1), video);
  }

  /**
   * Sends what the service does not have yet; gives the id of the job. After a broken connection it asks
   * for the offset and goes on from there. `onProgress` is told how many bytes are stored, and of how many.
   */
  async send(onProgress?: (storedBytes: number, totalBytes: number) => void): Promise<string> {
    while (!this.#isComplete) {
      await this.transport.patiently(() => this.#sendChunk(), () => this.#offset);
      onProgress?.(this.#offset, this.video.size);
    }
    return this.id;
  }

  /** Deletes the upload, and the job that it became. */
  async discard(): Promise<void> {
    await this.#ask({ method: "DELETE", headers: VERSION }, () => {});
  }

  async #sendChunk(): Promise<void> {
    if (!this.#isOffsetKnown) await this.#askForOffset();
    if (!this.#isComplete) await this.#append();
  }

  async #askForOffset(): Promise<void> {
    await this.#ask({ method: "HEAD", headers: VERSION }, (response) => {
      this.#learn(response);
      const announced = Number(required(response, "upload-length"));
      if (announced === this.video.size) return;
      throw new BodyScriptError(`The video has ${this.video.size} bytes, but the upload was begun with ${announced}.`);
    });
  }

  async #append(): Promise<void> {
    const headers = {
      ...VERSION,
      "upload-offset": String(this.#offset),
      "content-type": "application/offset+octet-stream",
    };
    const body = this.video.slice(this.#offset, this.#offset + CHUNK_BYTES);
    // Whatever happens to this request, a part of it may have been stored.
    this.#isOffsetKnown = false;
    await this.#ask({ method: "PATCH", headers, body }, (response) => this.#learn(response));
  }

  #learn(response: Response): void {
    this.#offset = Number(required(response, "upload-offset"));
    this.#isOffsetKnown = true;
    this.#isComplete = response.headers.has("job-id");
  }

  #ask(init: RequestInit, use: (response: Response) => void): Promise<void> {
    return this.transport.send(`/api/tus/${this.id}`, init, use);
  }
}


function required(response: Response, name: string): string {
  const value = response.headers.get(name);
  if (value === null) throw new Error(`the response has no ${name}`);
  return value;
}

function base64(text: string): string {
  return btoa(String.fromCharCode(...new TextEncoder().encode(text)));
}

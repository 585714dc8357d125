// The client: from a video to its results, by calls of the HTTP API.

import { download } from "./download.js";
import { ApiError, JobCancelled, JobFailed } from "./errors.js";
import type { Format, Options } from "./options.js";
import type { PoseData } from "./pose_data.js";
import type { Status } from "./status.js";
import { Transport } from "./transport.js";
import { Upload } from "./upload.js";

export interface ClientSettings {
  /** Sent with every request, such as for a reverse proxy that asks for a password. */
  headers?: Record<string, string>;
  /** Longest time for a single request. */
  timeoutMs?: number;
  /** How long what fails for a reason that may pass is tried again without any advance. */
  patienceMs?: number;
  /** Ends everything that the client does; it throws the reason. */
  signal?: AbortSignal;
}

export interface Progress {
  /** So many bytes are stored on the disk of the service. */
  onUpload?(storedBytes: number, totalBytes: number): void;
  /** The job has this status; the last one is its end. */
  onStatus?(status: Status): void;
}

export interface ProcessSettings extends Progress {
  options?: Options;
  /** The name of the video; that of a `File` by default. */
  filename?: string;
}

export interface WaitSettings extends Pick<Progress, "onStatus"> {
  pollMs?: number;
}

/** The name of one result. */
export type ResultName = Exclude<Format, "default" | "all">;

/** A client of one service. */
export class Client {
  readonly #transport: Transport;

  constructor(baseUrl: string, settings: ClientSettings = {}) {
    const { headers = {}, timeoutMs = 120_000, patienceMs = 300_000, signal = null } = settings;
    this.#transport = new Transport({ baseUrl, headers, timeoutMs, patienceMs, signal });
  }

  /** Uploads a video and waits for its results; gives the status of the completed job. */
  async process(video: Blob, settings: ProcessSettings = {}): Promise<Status> {
    return this.wait(await this.upload(video, settings), settings);
  }

  /** Uploads a video, over broken connections too; gives the id of the job. */
  async upload(video: Blob, settings: ProcessSettings = {}): Promise<string> {
    const upload = await this.beginUpload(video, settings);
    return upload.send((stored, total) => settings.onUpload?.(stored, total));
  }

  /** Announces a video without sending it: its `id` can be kept before `send` begins. */
  beginUpload(video: Blob, settings: ProcessSettings = {}): Promise<Upload> {
    const name = settings.filename ?? (video as { name?: string }).name ?? "video";
    return Upload.create(this.#transport, video, name, settings.options ?? {});
  }

  /** An upload of the same video that was begun earlier. */
  resumeUpload(uploadId: string, video: Blob): Upload {
    return new Upload(this.#transport, uploadId, video);
  }

  /** The status of a job. */
  status(jobId: string): Promise<Status> {
    return this.#json(`/api/status/${jobId}`);
  }

  /** Waits until a job is completed; throws `JobFailed` or `JobCancelled` if it ends in another way. */
  async wait(jobId: string, { onStatus, pollMs = 500 }: WaitSettings = {}): Promise<Status> {
    for (;;) {
      const status = await this.status(jobId);
      onStatus?.(status);
      switch (status.status) {
        case "completed":
          return status;
        case "failed":
          throw new JobFailed(jobId, status.error_code ?? "unknown", status.error ?? status.message);
        case "cancelled":
          throw new JobCancelled(jobId);
        default:
          await this.#transport.pause(pollMs);
      }
    }
  }

  /** A result as a blob. The names are the keys of `urls` of the status. */
  read(jobId: string, name: ResultName): Promise<Blob> {
    return download(this.#transport, address(jobId, name));
  }

  /** The poses of a job that has the format `json`. */
  async poses(jobId: string): Promise<PoseData> {
    return JSON.parse(await (await this.read(jobId, "json")).text());
  }

  /** The URL of a result as a download, for a link in a page. */
  downloadUrl(jobId: string, name: ResultName): string {
    return this.#transport.url(address(jobId, name));
  }

  /** Cancels a job that has not ended. */
  cancel(jobId: string): Promise<Status> {
    return this.#transport.send(`/api/cancel/${jobId}`, { method: "POST" }, (response) => response.json());
  }

  /** Deletes a job and all its files. One that is gone already is no error. */
  async delete(jobId: string): Promise<void> {
    try {
      await this.#json(`/api/cleanup/${jobId}`, "DELETE");
    } catch (error) {
      if (!(error instanceof ApiError && error.code === "job_not_found")) throw error;
    }
  }

  /** Version, modes, models and limits of the service, and the names of the landmarks. */
  service(): Promise<Record<string, unknown>> {
    return this.#json("/api");
  }

  #json<T>(path: string, method = "GET"): Promise<T> {
    return this.#transport.patiently(() =>
      this.#transport.send(path, { method }, (response) => response.json() as Promise<T>),
    );
  }
}

function address(jobId: string, name: ResultName): string {
  return `/api/download/${jobId}/${name}`;
}

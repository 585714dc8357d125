// What can go wrong, as errors with the stable codes of the service.

/** Any error of this client. */
export class BodyScriptError extends Error {
  override name: string = "BodyScriptError";
}

/** The service could not be reached, or the connection broke, for longer than `patienceMs`. */
export class ConnectionLost extends BodyScriptError {
  override name = "ConnectionLost";
}

/**
 * The service refused a request. `code` is stable, for programs, and listed at `/api/problems`; `detail`
 * is a sentence for people.
 */
export class ApiError extends BodyScriptError {
  override name = "ApiError";

  constructor(
    readonly status: number,
    readonly code: string,
    readonly detail: string,
    readonly retryAfterMs: number | null = null,
  ) {
    super(`${detail} (${code})`);
  }
}

/** The video was accepted but could not be processed; `code` and `detail` say why. */
export class JobFailed extends BodyScriptError {
  override name = "JobFailed";

  constructor(readonly jobId: string, readonly code: string, readonly detail: string) {
    super(`${detail} (${code})`);
  }
}

/** The job was cancelled before it ended. */
export class JobCancelled extends BodyScriptError {
  override name = "JobCancelled";

  constructor(readonly jobId: string) {
    super(`The job ${jobId} was cancelled.`);
  }
}

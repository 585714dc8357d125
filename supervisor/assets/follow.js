// Follows one job to its end: by server-sent events, by asking where those do not get through.

import * as api from "./api.js";

/** A stream silent for so long is checked upon; some proxies hold events back. */
const SILENCE_MS = 8000;
/** Between two attempts to reach a service that is away. */
const RETRY_MS = 2000;

/**
 * Calls `listeners.status` with each status document, `lost` whenever the service cannot be
 * reached, and `gone` once there is no such job. Gives a function that stops it.
 */
export function follow(id, listeners) {
  let source = null;
  let timer = null;
  let isOver = false;

  function stop() {
    isOver = true;
    clearTimeout(timer);
    source?.close();
  }

  function lookIn(ms) {
    clearTimeout(timer);
    timer = setTimeout(look, ms);
  }

  function take(status) {
    if (isOver) return;
    if (status.completed_at) stop();
    else lookIn(SILENCE_MS);
    listeners.status(status);
  }

  function listen() {
    source?.close();
    source = new EventSource(`/api/events/${id}`);
    source.addEventListener("status", (event) => take(JSON.parse(event.data)));
    source.onerror = () => isOver || lookIn(RETRY_MS);
  }

  async function look() {
    try {
      take(await api.status(id));
      // After a refusal a stream is closed for good and has to be made anew.
      if (!isOver && source?.readyState !== EventSource.OPEN) listen();
    } catch (problem) {
      if (isOver) return;
      if (problem.status === 404) {
        stop();
        listeners.gone(problem);
      } else {
        listeners.lost(problem);
        lookIn(RETRY_MS);
      }
    }
  }

  look();
  return stop;
}

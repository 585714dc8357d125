// Follows one job to its end: by server-sent events, and by polling where those are blocked.

import * as api from "./api.js";

/** After this time without an event the status is polled; some proxies buffer events. */
const SILENCE_MS = 8000;
/** Between two attempts to reach the service. */
const RETRY_MS = 2000;

/**
 * Calls `listeners.status` with each status document, `lost` whenever the service cannot be
 * reached, and `gone` if the job does not exist. Returns a function that stops it.
 */
export function follow(id, listeners) {
  let source = null;
  let timer = null;
  let isStopped = false;

  function stop() {
    isStopped = true;
    clearTimeout(timer);
    source?.close();
  }

  function pollIn(ms) {
    clearTimeout(timer);
    timer = setTimeout(poll, ms);
  }

  function handle(status) {
    if (isStopped) return;
    if (status.completed_at) stop();
    else pollIn(SILENCE_MS);
    listeners.status(status);
  }

  function openStream() {
    source?.close();
    source = new EventSource(`/api/events/${api.part(id)}`);
    source.addEventListener("status", (event) => handle(JSON.parse(event.data)));
    source.onerror = () => isStopped || pollIn(RETRY_MS);
  }

  async function poll() {
    try {
      handle(await api.status(id));
      // After an error response EventSource stays closed and has to be created again.
      if (!isStopped && source?.readyState !== EventSource.OPEN) openStream();
    } catch (problem) {
      if (isStopped) return;
      if (problem.status === 404) {
        stop();
        listeners.gone(problem);
      } else {
        listeners.lost(problem);
        pollIn(RETRY_MS);
      }
    }
  }

  poll();
  return stop;
}

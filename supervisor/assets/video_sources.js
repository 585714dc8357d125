// Further ways to a video: the sample of the service, and the camera, whose module is loaded when it is used.

const element = (id) => document.getElementById(id);
const SAMPLE = { url: "/assets/sample.mp4", name: "sample.mp4", type: "video/mp4" };

/** Browsers give the camera to secure pages only. */
const canRecord = () =>
  window.isSecureContext && Boolean(navigator.mediaDevices?.getUserMedia) && "MediaRecorder" in window;

/**
 * Calls `listeners.sample` with the file of the sample, `recorded` with that of a recording, or `failed` with a
 * sentence; `limits` gives the limits of the service.
 */
export function offerSources(listeners) {
  const run = (id, produce) => element(id).addEventListener("click", async () => {
    element(id).disabled = true;
    try {
      await produce();
    } catch (problem) {
      listeners.failed(problem.message);
    }
    element(id).disabled = false;
  });
  run("try-sample", async () => listeners.sample(await fetchSample()));
  run("record", async () => {
    const { record } = await import("./recorder.js");
    const file = await record(listeners.limits());
    if (file) listeners.recorded(file);
  });
  element("record").hidden = !canRecord();
}

async function fetchSample() {
  const response = await fetch(SAMPLE.url).catch(() => null);
  if (!response?.ok) throw new Error("The sample can't be loaded. Check your connection and try again.");
  return new File([await response.blob()], SAMPLE.name, { type: SAMPLE.type });
}

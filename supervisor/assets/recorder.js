// Records a video with the camera, in a dialog: preview, countdown, and an end at the limit of the service.

import { announce } from "./announce.js";
import { seconds as formatSeconds } from "./format.js";

const COUNTDOWN_S = 3;
/** Where the service has no limit. */
const DURATION_S_MAX = 60;
/** A recorder stops a little late. */
const MARGIN_S = 0.25;
const BITS_PER_SECOND_MAX = 4_000_000;
/** Of what can be uploaded, what the pictures may fill. */
const FILL = 0.7;
/** VP8 first: it takes the least work to encode while the camera runs. */
const TYPES = ["video/webm;codecs=vp8,opus", "video/webm", "video/mp4"];

const REASONS = {
  NotAllowedError: "The camera was not allowed. Allow it for this page in the browser's settings, then try again.",
  NotFoundError: "No camera was found. Connect one, or select a video.",
  OverconstrainedError: "No camera was found. Connect one, or select a video.",
  NotReadableError: "The camera can't be used. Close other programs that use it, then try again.",
};

/** Resolves to the recorded file, or to null if the dialog is closed without one. */
export async function record(limits) {
  const stream = await openCamera({ audio: false });
  return new Recorder(stream, limits).done;
}

async function openCamera({ audio }) {
  const video = { width: { ideal: 1280 }, height: { ideal: 720 }, facingMode: "user" };
  try {
    return await navigator.mediaDevices.getUserMedia({ video, audio });
  } catch ({ name, message }) {
    throw new Error(REASONS[name] ?? `The camera can't be used: ${message}.`);
  }
}

class Recorder {
  #stream;
  #longest;
  #bytesMax;
  #dialog = document.createElement("dialog");
  #recorder = null;
  #timer = null;
  #finish;

  constructor(stream, { duration_s_max: duration, upload_bytes_max: bytes }) {
    this.#stream = stream;
    this.#longest = Math.max(1, (duration ?? DURATION_S_MAX) - MARGIN_S);
    this.#bytesMax = bytes ?? Infinity;
    this.done = new Promise((resolve, reject) => { this.#finish = { resolve, reject }; });
    this.#show();
  }

  #part(name) {
    return this.#dialog.querySelector(`[data-part=${name}]`);
  }

  #show() {
    this.#dialog.className = "recorder";
    this.#dialog.setAttribute("aria-labelledby", "recorder-title");
    this.#dialog.innerHTML = `
      <h2 id="recorder-title">Record a video</h2>
      <div class="stage"><video data-part="preview" muted playsinline autoplay></video><p data-part="count" hidden></p></div>
      <p class="muted" data-part="state"></p>
      <p class="row">
        <button type="button" class="button primary" data-part="start">Start</button>
        <button type="button" class="button primary" data-part="stop" hidden>Stop</button>
        <button type="button" class="button" data-part="close">Close</button>
        <label class="inline"><input type="checkbox" data-part="sound"> Record sound</label>
      </p>`;
    document.body.append(this.#dialog);
    this.#part("preview").srcObject = this.#stream;
    this.#part("state").textContent =
      `Stand so that your whole body is visible. The recording ends after ${formatSeconds(this.#longest)}.`;
    this.#part("start").addEventListener("click", () => this.#countDown(COUNTDOWN_S));
    this.#part("stop").addEventListener("click", () => this.#recorder.stop());
    this.#part("close").addEventListener("click", () => this.#dialog.close());
    this.#part("sound").addEventListener("change", () => this.#changeSound());
    this.#dialog.addEventListener("close", () => this.#end(null));
    this.#dialog.showModal();
    this.#part("start").focus();
  }

  /** Asks for the microphone only if sound is wanted. */
  async #changeSound() {
    for (const track of this.#stream.getAudioTracks()) {
      track.stop();
      this.#stream.removeTrack(track);
    }
    if (!this.#part("sound").checked) return;
    try {
      const sound = await navigator.mediaDevices.getUserMedia({ audio: true });
      for (const track of sound.getAudioTracks()) this.#stream.addTrack(track);
    } catch {
      this.#part("sound").checked = false;
      this.#part("state").textContent = "The microphone can't be used. The video is recorded without sound.";
    }
  }

  #countDown(left) {
    const count = this.#part("count");
    this.#part("start").disabled = true;
    this.#part("sound").disabled = true;
    count.hidden = left === 0;
    count.textContent = left;
    if (left === 0) {
      this.#record();
      return;
    }
    announce(String(left));
    this.#timer = setTimeout(() => this.#countDown(left - 1), 1000);
  }

  #record() {
    const mimeType = TYPES.find((type) => MediaRecorder.isTypeSupported(type));
    const videoBitsPerSecond = Math.min(BITS_PER_SECOND_MAX, (this.#bytesMax * 8 * FILL) / this.#longest);
    try {
      this.#recorder = new MediaRecorder(this.#stream, { mimeType, videoBitsPerSecond });
      this.#recorder.start();
    } catch ({ message }) {
      this.#fail(message);
      return;
    }
    this.#recorder.ondataavailable = ({ data }) => this.#end(data);
    this.#recorder.onerror = ({ error }) => this.#fail(error?.message ?? "unknown error");
    announce("Recording.");
    this.#part("start").hidden = true;
    this.#part("stop").hidden = false;
    this.#part("stop").focus();
    this.#follow(performance.now());
  }

  #follow(startedAt) {
    const elapsed = (performance.now() - startedAt) / 1000;
    this.#part("state").textContent = `Recording: ${Math.floor(elapsed)} of ${formatSeconds(this.#longest)}`;
    if (elapsed < this.#longest) this.#timer = setTimeout(() => this.#follow(startedAt), 100);
    else this.#recorder.stop();
  }

  #fail(reason) {
    this.#finish.reject(new Error(`The browser can't record: ${reason}.`));
    this.#end(null);
  }

  /** Ends with what was recorded; only the first call counts. */
  #end(data) {
    clearTimeout(this.#timer);
    const file = data?.size ? asFile(data) : null;
    this.#finish.resolve(file);
    for (const track of this.#stream.getTracks()) track.stop();
    this.#dialog.remove();
  }
}

function asFile(data) {
  // The service is told the container, and finds the codecs itself.
  const type = data.type.split(";")[0];
  const time = new Date().toTimeString().slice(0, 8).replaceAll(":", "-");
  return new File([data], `recording-${time}.${type === "video/mp4" ? "mp4" : "webm"}`, { type });
}

// Records a video with the camera, in a dialog: preview, countdown, and an end at the limit of the service.

import { seconds as formatSeconds } from "./format.js";

const COUNTDOWN_S = 3;
/** Where the service has no limit. */
const DURATION_S_MAX = 60;
/** A recorder stops a little late. */
const MARGIN_S = 0.25;
const BITS_PER_SECOND_MAX = 4_000_000;
/** Of what can be uploaded, what the pictures may fill. */
const FILL = 0.7;
const SIZE = { width: { ideal: 1280 }, height: { ideal: 720 } };
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
  const stream = await openCamera({ facingMode: "user" });
  return new Recorder(stream, limits).done;
}

/** Opens the camera that is described. */
async function openCamera(which) {
  try {
    return await navigator.mediaDevices.getUserMedia({ video: { ...SIZE, ...which } });
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
  #replaced = Promise.resolve();
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
      <div class="stage"><video data-part="preview" muted playsinline autoplay></video><p data-part="count" role="status"></p></div>
      <p class="muted" data-part="state"></p>
      <p class="error" data-part="error" role="alert"></p>
      <p data-part="cameras" hidden><label><span class="sr">Camera</span><select data-part="camera"></select></label></p>
      <p class="row">
        <button type="button" class="button primary" data-part="start">Start</button>
        <button type="button" class="button primary" data-part="stop" hidden>Stop</button>
        <button type="button" class="button" data-part="close">Close</button>
        <label class="inline"><input type="checkbox" data-part="sound"> Record sound</label>
      </p>`;
    document.body.append(this.#dialog);
    this.#preview();
    this.#offerCameras();
    this.#part("state").textContent =
      `Stand so that your whole body is visible. The recording ends after ${formatSeconds(this.#longest)}.`;
    this.#part("start").addEventListener("click", () => this.#countDown(COUNTDOWN_S));
    this.#part("stop").addEventListener("click", () => this.#stop());
    this.#part("close").addEventListener("click", () => this.#dialog.close());
    this.#part("sound").addEventListener("change", () => this.#changeSound());
    this.#part("camera").addEventListener("change", ({ target }) => this.#changeCamera(target.value));
    this.#dialog.addEventListener("close", () => this.#end(null));
    this.#dialog.showModal();
    this.#part("start").focus();
  }

  #preview() {
    const preview = this.#part("preview");
    const [track] = this.#stream.getVideoTracks();
    preview.srcObject = this.#stream;
    // As in a mirror, in which people find their place more easily; the recording is not mirrored.
    preview.classList.toggle("mirrored", track?.getSettings().facingMode !== "environment");
    this.#part("start").disabled = !track;
  }

  /** Offers the cameras if there are several; a browser tells them once one is allowed. */
  async #offerCameras() {
    const devices = await navigator.mediaDevices.enumerateDevices();
    const cameras = devices.filter(({ kind }) => kind === "videoinput");
    const used = this.#stream.getVideoTracks()[0]?.getSettings().deviceId;
    this.#part("camera").replaceChildren(...cameras.map(({ label, deviceId }, index) =>
      new Option(label || `Camera ${index + 1}`, deviceId, false, deviceId === used)));
    this.#part("cameras").hidden = cameras.length < 2;
  }

  #changeCamera(id) {
    this.#replace("video", () => openCamera({ deviceId: { exact: id } }));
  }

  /** Asks for the microphone only if sound is wanted. */
  #changeSound() {
    const sound = this.#part("sound");
    const open = () => navigator.mediaDevices.getUserMedia({ audio: true }).catch(() => {
      sound.checked = false;
      throw new Error("The microphone can't be used. The video is recorded without sound.");
    });
    this.#replace("audio", sound.checked ? open : null);
  }

  /** Replaces the tracks of a kind by those that `open` gives, after replacements that are under way. */
  #replace(kind, open) {
    this.#replaced = this.#replaced.then(() => this.#swap(kind, open));
  }

  async #swap(kind, open) {
    this.#part("error").textContent = "";
    this.#part("start").disabled = true;
    // The former ones end first: a phone opens one camera at a time.
    for (const track of this.#stream.getTracks().filter((track) => track.kind === kind)) {
      track.stop();
      this.#stream.removeTrack(track);
    }
    try {
      const opened = await open?.();
      for (const track of opened?.getTracks() ?? []) this.#stream.addTrack(track);
    } catch ({ message }) {
      this.#part("error").textContent = message;
    }
    this.#preview();
    // The dialog may have been closed meanwhile.
    if (!this.#dialog.open) this.#end(null);
  }

  #countDown(left) {
    for (const name of ["start", "sound", "camera"]) this.#part(name).disabled = true;
    this.#part("count").textContent = left || "";
    if (left) this.#timer = setTimeout(() => this.#countDown(left - 1), 1000);
    else this.#record();
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
    this.#part("start").hidden = true;
    this.#part("stop").hidden = false;
    this.#part("stop").focus();
    this.#follow(performance.now());
  }

  #follow(startedAt) {
    const elapsed = (performance.now() - startedAt) / 1000;
    this.#part("state").textContent = `Recording: ${Math.floor(elapsed)} of ${formatSeconds(this.#longest)}`;
    if (elapsed < this.#longest) this.#timer = setTimeout(() => this.#follow(startedAt), 100);
    else this.#stop();
  }

  #stop() {
    clearTimeout(this.#timer);
    if (this.#recorder.state !== "inactive") this.#recorder.stop();
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

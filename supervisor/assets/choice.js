// The form: a video chosen or dropped, checked before anything is sent, and its options.

import * as words from "./words.js";

const element = (id) => document.getElementById(id);

/** Containers whose files some systems give no media type. */
const EXTENSIONS = /\.(mp4|m4v|mov|qt|3gp|3g2|mkv|webm|avi|wmv|asf|ts|m2ts|mts|mpe?g|ogv|flv)$/i;

const MODES = {
  track: ["Track (recommended)", "Follows the person from frame to frame: fast, and smooth over time."],
  static: ["Frame by frame", "Each frame on its own, as it is; nothing is smoothed."],
  ultra_fast: ["Ultra fast", "Each frame on its own; the best of 3 versions of the picture."],
  fast: ["Fast", "Each frame on its own; the best of 6 versions of the picture."],
  smart: ["Smart", "Each frame on its own; 3 to 12 versions, as many as it takes."],
  quality: ["Quality", "Each frame on its own; all 10 versions of the picture. Slow, for hard light."],
};

export class Choice {
  /** The chosen file, once it may be sent. */
  file = null;
  /** Its address for players in this page. */
  url = null;
  #limits = {};

  constructor(onSubmit) {
    const drop = element("drop");
    element("file").addEventListener("change", ({ target }) => this.#take(target.files[0]));
    element("mode").addEventListener("change", () => this.#describeMode());
    element("form").addEventListener("submit", (event) => {
      event.preventDefault();
      if (this.file) onSubmit();
    });
    drop.addEventListener("dragover", (event) => {
      event.preventDefault();
      drop.classList.add("over");
    });
    drop.addEventListener("dragleave", ({ relatedTarget }) => {
      if (!drop.contains(relatedTarget)) drop.classList.remove("over");
    });
    drop.addEventListener("drop", (event) => {
      event.preventDefault();
      drop.classList.remove("over");
      this.#take(event.dataTransfer.files[0]);
    });
    // A video dropped beside the field must not replace the page.
    for (const event of ["dragover", "drop"]) {
      window.addEventListener(event, (dropped) => dropped.preventDefault());
    }
    element("sample").addEventListener("loadedmetadata", () => this.#describeFile());
    element("sample").addEventListener("error", () => { element("sample").hidden = true; });
    this.offer({ modes: ["track"], limits: {} });
  }

  /** Offers what the service takes. */
  offer({ modes, limits }) {
    this.#limits = limits;
    const options = modes.map((mode) => new Option(MODES[mode]?.[0] ?? mode, mode));
    element("mode").replaceChildren(...options);
    this.#describeMode();
    const lines = [];
    if (limits.upload_bytes_max) lines.push(`Up to ${words.bytes(limits.upload_bytes_max)}.`);
    if (limits.duration_s_max) {
      lines.push(limits.on_long === "reject"
        ? `Up to ${limits.duration_s_max} s long.`
        : `Of a longer video, the first ${limits.duration_s_max} s.`);
    }
    element("limits").textContent = lines.join(" ");
    if (this.file) this.#take(this.file);
  }

  /** The fields that go with the file. */
  fields() {
    return { mode: element("mode").value, interval: element("interval").value };
  }

  /** Forgets the file. */
  reset() {
    if (this.url) URL.revokeObjectURL(this.url);
    this.file = null;
    this.url = null;
    element("file").value = "";
    element("sample").removeAttribute("src");
    this.#show();
  }

  #take(file) {
    if (!file) return;
    const fault = this.#fault(file);
    this.reset();
    element("file-error").textContent = fault ?? "";
    if (fault) return;
    this.file = file;
    this.url = URL.createObjectURL(file);
    element("sample").hidden = false;
    element("sample").src = this.url;
    this.#show();
  }

  /** Why a file would be refused; the service itself has the last word. */
  #fault(file) {
    const isVideo = file.type ? file.type.startsWith("video/") : EXTENSIONS.test(file.name);
    if (!isVideo) return `${file.name} is not a video; choose an MP4, MOV, WebM or similar file.`;
    if (!file.size) return `${file.name} is empty; choose another file.`;
    const most = this.#limits.upload_bytes_max;
    if (most && file.size > most) {
      return `${file.name} has ${words.bytes(file.size)}, more than the ${words.bytes(most)} that can be sent; `
        + "choose a shorter or more strongly compressed one.";
    }
    return null;
  }

  #show() {
    element("chosen").hidden = !this.file;
    document.querySelector(".drop-empty").hidden = Boolean(this.file);
    element("start").disabled = !this.file;
    if (this.file) this.#describeFile();
  }

  #describeFile() {
    if (!this.file) return;
    const { duration, videoWidth, videoHeight } = element("sample");
    const facts = [words.bytes(this.file.size)];
    if (Number.isFinite(duration) && duration > 0) facts.push(`${duration.toFixed(1)} s`);
    if (videoWidth) facts.push(`${videoWidth} × ${videoHeight}`);
    element("chosen-name").textContent = this.file.name;
    element("chosen-facts").textContent = facts.join(" · ");
  }

  #describeMode() {
    element("mode-hint").textContent = MODES[element("mode").value]?.[1] ?? "";
  }
}

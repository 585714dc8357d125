// The form: a video chosen or dropped, checked before anything is sent, and its options.

import { announce } from "./announce.js";
import * as checks from "./checks.js";
import * as words from "./words.js";

const element = (id) => document.getElementById(id);

const MODES = {
  track: ["Track (recommended)", "Follows the person from frame to frame: fast, and smooth over time."],
  static: ["Frame by frame", "Each frame on its own, as it is; nothing is smoothed."],
  ultra_fast: ["Ultra fast", "Each frame on its own; the best of 3 versions of the picture."],
  fast: ["Fast", "Each frame on its own; the best of 6 versions of the picture."],
  smart: ["Smart", "Each frame on its own; 3 to 12 versions, as many as it takes."],
  quality: ["Quality", "Each frame on its own; all 10 versions of the picture. Slow, for hard light."],
};

/** The elements with options, and the options' own names. */
const FIELDS = [["mode", "mode"], ["interval", "interval"], ["people", "max_people"]];

export class Choice {
  /** The chosen file, once it may be sent. */
  file = null;
  /** Its address for players in this page. */
  url = null;
  #limits = {};

  constructor(onSubmit) {
    element("file").addEventListener("change", ({ target }) => this.#take(target.files[0]));
    element("mode").addEventListener("change", () => this.#describeMode());
    element("form").addEventListener("submit", (event) => {
      event.preventDefault();
      if (this.file) onSubmit();
    });
    element("sample").addEventListener("loadedmetadata", () => this.#lookInside());
    element("sample").addEventListener("error", () => { element("sample").hidden = true; });
    this.#listenForDrops();
    this.offer({ modes: ["track"], limits: {} });
  }

  #listenForDrops() {
    const drop = element("drop");
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
  }

  /** Offers what the service takes; what is chosen already stays chosen. */
  offer({ modes, limits }) {
    const chosen = this.fields();
    this.#limits = limits;
    const people = Array.from({ length: limits.people_max ?? 1 }, (_, index) => index + 1);
    element("mode").replaceChildren(...modes.map((mode) => new Option(MODES[mode]?.[0] ?? mode, mode)));
    element("people").replaceChildren(...people.map((n) => new Option(n === 1 ? "One" : `Up to ${n}`, n)));
    element("limits").textContent = this.#told();
    this.restore(chosen);
    if (this.file) this.#take(this.file);
  }

  /** The limits, in words. */
  #told() {
    const { upload_bytes_max: bytes, duration_s_max: seconds, on_long: onLong } = this.#limits;
    if (!bytes) return "\u00a0";
    const length = onLong === "reject" ? `, up to ${seconds} s long.` : `. Of a longer video the first ${seconds} s are used.`;
    return `Up to ${words.bytes(bytes)}${length}`;
  }

  /** The fields that go with the file. */
  fields() {
    const fields = Object.fromEntries(FIELDS.map(([id, name]) => [name, element(id).value]));
    return element("formats").checked ? { ...fields, formats: "all" } : fields;
  }

  /** Chooses these fields, as far as they are offered. */
  restore(fields) {
    for (const [id, name] of FIELDS) {
      const option = [...element(id).options].find(({ value }) => value === fields[name]);
      if (option) option.selected = true;
    }
    element("formats").checked = fields.formats === "all";
    this.#describeMode();
  }

  /** Forgets the file. */
  reset() {
    if (this.url) URL.revokeObjectURL(this.url);
    this.file = null;
    this.url = null;
    element("file").value = "";
    element("sample").removeAttribute("src");
    element("file-error").textContent = "";
    this.#show();
  }

  #take(file) {
    if (!file) return;
    this.reset();
    const fault = checks.outside(file, this.#limits);
    element("file-error").textContent = fault ?? "";
    if (fault) return;
    this.file = file;
    this.url = URL.createObjectURL(file);
    element("sample").hidden = false;
    element("sample").src = this.url;
    this.#show();
    announce(`${file.name} is chosen.`);
  }

  #show() {
    element("chosen").hidden = !this.file;
    document.querySelector(".drop-empty").hidden = Boolean(this.file);
    element("start").disabled = !this.file;
    if (this.file) this.#describeFile([]);
  }

  #describeFile(facts) {
    element("chosen-name").textContent = this.file.name;
    element("chosen-facts").textContent = [words.bytes(this.file.size), ...facts].join(" · ");
  }

  /** Once a player knows what is in the file. */
  #lookInside() {
    if (!this.file) return;
    const { duration, videoWidth: width, videoHeight: height } = element("sample");
    const facts = [];
    if (Number.isFinite(duration) && duration > 0) facts.push(`${duration.toFixed(1)} s`);
    if (width) facts.push(`${width} × ${height}`);
    this.#describeFile(facts);
    const fault = checks.inside({ name: this.file.name, duration, width, height }, this.#limits);
    if (!fault) return;
    this.reset();
    element("file-error").textContent = fault;
  }

  #describeMode() {
    element("mode-hint").textContent = MODES[element("mode").value]?.[1] ?? "";
  }
}

// The upload form: the selected or dropped video, checked before it is uploaded, and its options.

import { announce } from "./announce.js";
import { checkFile, checkLength, checkSize } from "./checks.js";
import * as format from "./format.js";
import * as part from "./part_fields.js";

const element = (id) => document.getElementById(id);

const MODES = {
  track: ["Track (recommended)", "Follows people from frame to frame and smooths the result over time."],
  static: ["Frame by frame", "Detects people in each frame separately, without smoothing."],
  ultra_fast: ["Ultra fast", "Each frame separately; keeps the best of 3 image enhancements."],
  fast: ["Fast", "Each frame separately; keeps the best of 6 image enhancements."],
  smart: ["Smart", "Each frame separately; tries 3 to 7 image enhancements, adapted to the video."],
  quality: ["Quality", "Each frame separately; keeps the best of all 10 image enhancements. Slowest; for dark or blurred videos."],
};

const MODELS = {
  lite: ["Lite", "The smallest and fastest model."],
  full: ["Full (recommended)", "Of average size."],
  heavy: ["Heavy", "The largest model; takes several times as long."],
};

/** The formats that this page shows. */
const FORMATS = "default,people";

/** Element ids and the form fields they set. */
const FIELDS = [["mode", "mode"], ["interval", "interval"], ["people", "max_people"],
  ["person", "person"], ["filter", "filter"], ["background", "background"], ["blur", "blur"], ["model", "model"]];
/** The same for fields in which a value is entered. */
const ENTRIES = [["height", "height_m"]];

export class UploadForm {
  /** The selected file, if it passed the checks. */
  file = null;
  /** Its object URL, for the players of this page. */
  url = null;
  #limits = {};

  constructor(onSubmit) {
    element("file").addEventListener("change", ({ target }) => this.#select(target.files[0]));
    for (const id of ["mode", "model"]) element(id).addEventListener("change", () => this.#describe());
    element("form").addEventListener("submit", (event) => {
      event.preventDefault();
      if (this.file) onSubmit();
    });
    part.onChange(() => this.#checkPart());
    element("sample").addEventListener("loadedmetadata", () => this.#readMetadata());
    element("sample").addEventListener("error", () => { element("sample").hidden = true; });
    this.#listenForDrops();
    this.offer({ modes: ["track"], models: ["full"], limits: {} });
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
      this.#select(event.dataTransfer.files[0]);
    });
    // Dropping a video outside the field must not navigate away from the page.
    for (const event of ["dragover", "drop"]) {
      window.addEventListener(event, (dropped) => dropped.preventDefault());
    }
  }

  /** Fills the options with those the service offers; the current selection is kept. */
  offer({ modes, models, limits }) {
    const selected = this.fields();
    this.#limits = limits;
    const people = Array.from({ length: limits.people_max ?? 1 }, (_, index) => index + 1);
    const offerNames = (id, names, texts) =>
      element(id).replaceChildren(...names.map((name) => new Option(texts[name]?.[0] ?? name, name)));
    offerNames("mode", modes, MODES);
    offerNames("model", models, MODELS);
    element("people").replaceChildren(...people.map((n) => new Option(n === 1 ? "One" : `Up to ${n}`, n)));
    element("limits").textContent = this.#limitsText();
    this.restore(selected);
    if (this.file) this.#select(this.file);
  }

  /** The limits as a sentence. */
  #limitsText() {
    const { upload_bytes_max: bytes, duration_s_max: seconds, on_long: onLong } = this.#limits;
    if (!bytes) return "\u00a0";
    const length = onLong === "reject" ? `, up to ${seconds} s.` : `. Only the first ${seconds} s are analysed.`;
    return `Up to ${format.bytes(bytes)}${length}`;
  }

  /** The form fields that are sent with the file. */
  fields() {
    // An empty value stands for an option that is not given.
    const selected = [...FIELDS, ...ENTRIES].map(([id, name]) => [name, element(id).value]).filter(([, value]) => value);
    const fields = { ...Object.fromEntries(selected), ...part.values() };
    return { ...fields, formats: element("formats").checked ? "all" : FORMATS };
  }

  /** Selects these values where they are offered. */
  restore(fields) {
    if (fields.person?.includes(",")) offerPlace(fields.person);
    for (const [id, name] of FIELDS) {
      const option = [...element(id).options].find(({ value }) => value === (fields[name] ?? ""));
      if (option) option.selected = true;
    }
    for (const [id, name] of ENTRIES) element(id).value = fields[name] ?? "";
    element("formats").checked = fields.formats === "all";
    part.restore(fields);
    this.#describe();
  }

  /** Selects the person at a place, given as `x,y,seconds`. */
  choosePerson(place) {
    this.restore({ ...this.fields(), person: place });
  }

  /** Clears the selected file. */
  reset() {
    if (this.url) URL.revokeObjectURL(this.url);
    this.file = null;
    this.url = null;
    element("file").value = "";
    element("sample").removeAttribute("src");
    element("file-error").textContent = "";
    this.#show();
  }

  #select(file) {
    if (!file) return;
    this.reset();
    const fault = checkFile(file, this.#limits);
    element("file-error").textContent = fault ?? "";
    if (fault) return;
    this.file = file;
    this.url = URL.createObjectURL(file);
    element("sample").hidden = false;
    element("sample").src = this.url;
    this.#show();
    announce(`${file.name} selected.`);
  }

  #show() {
    element("chosen").hidden = !this.file;
    document.querySelector(".drop-empty").hidden = Boolean(this.file);
    element("start").disabled = !this.file;
    if (this.file) this.#describeFile([]);
  }

  #describeFile(facts) {
    element("chosen-name").textContent = this.file.name;
    element("chosen-facts").textContent = [format.bytes(this.file.size), ...facts].join(" · ");
  }

  /** Shows and checks what the player reports about the file. */
  #readMetadata() {
    if (!this.file) return;
    const { duration, videoWidth: width, videoHeight: height } = element("sample");
    const facts = [];
    if (Number.isFinite(duration) && duration > 0) facts.push(`${duration.toFixed(1)} s`);
    if (width) facts.push(`${width} × ${height}`);
    this.#describeFile(facts);
    const fault = checkSize({ name: this.file.name, width, height }, this.#limits);
    if (fault) {
      this.reset();
      element("file-error").textContent = fault;
      return;
    }
    this.#checkPart();
  }

  /** Checks the length of the chosen part; a video that is too long may be selected, since a part can be. */
  #checkPart() {
    const { duration } = element("sample");
    if (!this.file || !Number.isFinite(duration)) return;
    const fault = checkLength({ name: this.file.name, length: part.length(duration) }, this.#limits);
    element("file-error").textContent = fault ?? "";
    element("start").disabled = Boolean(fault);
  }

  /** Says what the selected mode and model do. */
  #describe() {
    for (const [id, texts] of [["mode", MODES], ["model", MODELS]]) {
      element(`${id}-hint`).textContent = texts[element(id).value]?.[1] ?? "";
    }
  }
}

/** Offers the person at a place in the list of people to follow. */
function offerPlace(place) {
  const list = element("person");
  [...list.options].find(({ value }) => value.includes(","))?.remove();
  list.append(new Option("Chosen in the result", place));
}

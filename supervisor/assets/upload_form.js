// The upload form: the selected videos, and the options they are uploaded with.

import { ChosenFiles } from "./chosen_files.js";
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
  ["person", "person"], ["filter", "filter"], ["low-pass", "low_pass"], ["background", "background"], ["blur", "blur"], ["model", "model"]];
/** The same for fields in which a value is entered. */
const ENTRIES = [["height", "height_m"]];

export class UploadForm {
  #chosen = new ChosenFiles();
  #limits = {};

  /** Calls `onSubmit` when the form is sent with at least one file. */
  constructor(onSubmit) {
    for (const id of ["mode", "model", "filter"]) element(id).addEventListener("change", () => this.#describe());
    element("form").addEventListener("submit", (event) => {
      event.preventDefault();
      if (this.files.length) onSubmit();
    });
    this.offer({ modes: ["track"], models: ["full"], limits: {} });
  }

  /** The selected files that passed the checks. */
  get files() {
    return this.#chosen.files;
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
    this.#chosen.limit(limits);
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
    if (fields.filter !== "offline") delete fields.low_pass;
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

  /** Selects these files in place of those before. */
  select(files) {
    this.#chosen.select(files);
  }

  /** Shows why no file could be selected. */
  refuse(sentence) {
    this.#chosen.refuse(sentence);
  }

  /** Clears the selected files. */
  reset() {
    this.#chosen.clear();
  }

  /** Says what the selected mode and model do, and shows the choice that one filter has. */
  #describe() {
    element("low-pass-field").hidden = element("filter").value !== "offline";
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

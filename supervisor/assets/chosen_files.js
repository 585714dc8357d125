// The videos that are selected or dropped: checked before they are uploaded, and shown. Of several each can be
// removed; one that cannot be uploaded does not stop the rest.

import { announce } from "./announce.js";
import { checkFile, checkLength, checkSize, isTrimmed, measure } from "./checks.js";
import * as format from "./format.js";
import * as part from "./part_fields.js";

const element = (id) => document.getElementById(id);

export class ChosenFiles {
  /** {file, measured, fault}; `fault` is one that another part of the video can cure. */
  #entries = [];
  /** Why other files were refused. */
  #refusals = [];
  #limits = {};
  #previewed = null;
  #previewUrl = null;

  constructor() {
    element("file").addEventListener("change", ({ target }) => this.select([...target.files]));
    element("sample").addEventListener("error", () => { element("sample").hidden = true; });
    part.onChange(() => this.#check());
    this.#listenForDrops();
  }

  /** The files that can be uploaded. */
  get files() {
    return this.#entries.filter(({ fault }) => !fault).map(({ file }) => file);
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
      this.select([...event.dataTransfer.files]);
    });
    // Dropping a video outside the field must not navigate away from the page.
    for (const event of ["dragover", "drop"]) {
      window.addEventListener(event, (dropped) => dropped.preventDefault());
    }
  }

  /** Checks the files by these limits from now on. */
  limit(limits) {
    this.#limits = limits;
    if (this.#entries.length) this.select(this.#entries.map(({ file }) => file));
  }

  /** Selects these files in place of those before. */
  select(files) {
    if (!files.length) return;
    this.clear();
    const faults = files.map((file) => checkFile(file, this.#limits));
    this.#refusals = faults.filter(Boolean);
    this.#entries = files.filter((_, index) => !faults[index]).map((file) => ({ file, measured: null, fault: null }));
    this.#show();
    this.#measureAll(this.#entries);
    if (this.#entries.length === 1) announce(`${this.#entries[0].file.name} selected.`);
    else if (this.#entries.length) announce(`${this.#entries.length} videos selected.`);
  }

  /** Nothing is selected any more. */
  clear() {
    this.#entries = [];
    this.#refusals = [];
    element("file").value = "";
    this.#show();
  }

  /** Shows a fault that is none of a file. */
  refuse(sentence) {
    this.#refusals = [sentence];
    this.#show();
  }

  /** One file at a time, so that many do not need memory at once. */
  async #measureAll(entries) {
    for (const entry of entries) {
      if (!this.#entries.includes(entry)) continue;
      entry.measured = await measure(entry.file);
      if (!this.#entries.includes(entry)) continue;
      this.#check();
      if (this.#trimNote(entry)) announce(`${entry.file.name}: ${this.#trimNote(entry)}`);
    }
  }

  /** Checks what the player says about the files; one that is too long stays, since a part of it can be chosen. */
  #check() {
    this.#entries = this.#entries.filter(({ file, measured }) => {
      const fault = measured && checkSize({ name: file.name, ...measured }, this.#limits);
      if (fault) this.#refusals.push(fault);
      return !fault;
    });
    for (const entry of this.#entries) {
      const { file, measured } = entry;
      const isKnown = measured && Number.isFinite(measured.duration);
      entry.fault = isKnown ? checkLength({ name: file.name, length: part.length(measured.duration) }, this.#limits) : null;
    }
    this.#show();
  }

  #show() {
    const count = this.#entries.length;
    const ready = this.files.length;
    element("chosen").hidden = count === 0;
    document.querySelector(".drop-empty").hidden = count > 0;
    element("chosen-list").replaceChildren(...this.#entries.map((entry) => this.#row(entry)));
    element("file-error").textContent =
      [...this.#refusals, ...this.#entries.map(({ fault }) => fault).filter(Boolean)].join("\n");
    element("start").disabled = ready === 0;
    element("start").textContent = ready > 1 ? `Analyse ${ready} videos` : "Analyse video";
    this.#preview(count === 1 ? this.#entries[0].file : null);
  }

  #row(entry) {
    const row = document.createElement("li");
    const [name, facts] = [document.createElement("strong"), document.createElement("span")];
    name.textContent = entry.file.name;
    facts.className = "muted";
    facts.textContent = describe(entry);
    row.append(name, facts);
    const note = document.createElement("span");
    note.className = "trim-note";
    note.textContent = this.#trimNote(entry);
    row.append(note);
    if (this.#entries.length > 1) {
      const remove = document.createElement("button");
      Object.assign(remove, { type: "button", className: "button quiet", textContent: "Remove" });
      remove.setAttribute("aria-label", `Remove ${entry.file.name}`);
      remove.addEventListener("click", () => this.#remove(entry));
      row.append(remove);
    }
    return row;
  }

  /** That only the beginning of the chosen part will be analysed, if so. */
  #trimNote({ measured }) {
    const isKnown = measured && Number.isFinite(measured.duration);
    if (!isKnown || !isTrimmed(part.length(measured.duration), this.#limits)) return "";
    return format.trimmed(this.#limits.duration_s_max, Number(part.values().start ?? 0));
  }

  #remove(entry) {
    this.#entries = this.#entries.filter((other) => other !== entry);
    this.#show();
    announce(`${entry.file.name} removed.`);
    element("file").focus();
  }

  /** Shows the beginning of a single file. */
  #preview(file) {
    const sample = element("sample");
    if (this.#previewed === file) return;
    this.#previewed = file;
    if (this.#previewUrl) URL.revokeObjectURL(this.#previewUrl);
    this.#previewUrl = file && URL.createObjectURL(file);
    sample.hidden = !file;
    if (file) sample.src = this.#previewUrl;
    else sample.removeAttribute("src");
  }
}

function describe({ file, measured }) {
  const facts = [format.bytes(file.size)];
  if (Number.isFinite(measured?.duration) && measured.duration > 0) facts.push(`${measured.duration.toFixed(1)} s`);
  if (measured?.width) facts.push(`${measured.width} × ${measured.height}`);
  return facts.join(" · ");
}

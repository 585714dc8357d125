// Says whether the picture is free of skeletons, and takes the user's own file where the service has no such video.

const element = (id) => document.getElementById(id);

/** Half a unit of the last digit of a size that the service states in MiB. */
const ROUNDING_MB = 0.006;

export class SourceNote {
  #use;
  #job = { megabytes: 0, begins: 0 };
  #url = null;

  /** Calls `use` with a source made of a file that the user has selected. */
  constructor(use) {
    this.#use = use;
    element("own-file").addEventListener("change", ({ target }) => this.#choose(target.files[0]));
  }

  /** Takes over the size of a job's video, and the time at which its part begins. */
  open(job) {
    this.#job = job;
    if (this.#url) URL.revokeObjectURL(this.#url);
    this.#url = null;
    element("own-file").value = "";
    element("own-file-error").textContent = "";
  }

  show({ isClean }) {
    element("drawn-note").hidden = isClean;
    element("show").disabled = !isClean;
  }

  #choose(file) {
    if (!file) return;
    const isSame = Math.abs(file.size / 2 ** 20 - this.#job.megabytes) < ROUNDING_MB;
    element("own-file-error").textContent = isSame ? "" : "That is another file. Select the video that was analysed.";
    if (!isSame) return;
    this.#url = URL.createObjectURL(file);
    this.#use({ url: this.#url, begins: this.#job.begins, area: null, isClean: true });
    element("show").focus();
  }
}

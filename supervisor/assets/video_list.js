// The list of this browser's videos: those that wait for their upload, and the jobs, with their states.

import { announce } from "./announce.js";
import * as api from "./api.js";
import * as format from "./format.js";
import * as own from "./own_videos.js";

const element = (id) => document.getElementById(id);
/** Between two rounds of questions about jobs that have not ended. */
const REFRESH_MS = 5000;

const STATES = {
  pending: () => "In the queue",
  processing: ({ progress }) => `Processing, ${progress ?? 0} %`,
  completed: ({ until }) => (until ? `Done, available until ${format.hour(until)}` : "Done"),
  failed: ({ error }) => `Failed: ${error ?? "see there"}`,
  cancelled: () => "Cancelled",
  expired: () => "Expired",
};

const UPLOAD_STATES = {
  waiting: () => "Waiting to upload",
  uploading: ({ file, sent, pause }) =>
    (pause ? "Upload interrupted, retrying" : `Uploading, ${Math.floor((sent / file.size) * 100)} %`),
  failed: ({ problem }) => `Not uploaded: ${problem.message}`,
};

/** What a row shows of an upload. */
const uploadEntry = (item) => ({
  key: item,
  name: item.file.name,
  state: UPLOAD_STATES[item.state](item),
  share: item.state === "uploading" ? item.sent / item.file.size : null,
  target: "upload",
});

/** What a row shows of a job. */
const jobEntry = (video) => ({
  key: video.id,
  name: video.name,
  state: STATES[video.state]?.(video) ?? video.state,
  share: video.state === "processing" ? (video.progress ?? 0) / 100 : null,
  target: ["cancelled", "expired"].includes(video.state) ? "none" : `#job=${video.id}`,
});

export class VideoList {
  #queue;
  #listeners;
  /** The rows by upload or by id of the job. */
  #rows = new Map();
  #timer = null;
  #isRefreshing = false;

  /**
   * Calls `listeners.opened` with an upload that is to be shown and `removed` with one that is not wanted; `followed`
   * gives the job that is followed anyway, and `limits` the limits of the service.
   */
  constructor(queue, listeners) {
    this.#queue = queue;
    this.#listeners = listeners;
    own.onChange(() => this.show());
    element("to-videos").addEventListener("click", () => {
      element("videos").scrollIntoView();
      element("videos-title").focus({ preventScroll: true });
    });
    document.addEventListener("visibilitychange", () => document.hidden || this.#refresh());
    this.show();
    this.#refresh();
  }

  /** Shows what is in the list now. */
  show() {
    const uploads = this.#queue.items.filter(({ state }) => UPLOAD_STATES[state]);
    const entries = [...uploads.map(uploadEntry), ...own.all().map(jobEntry)];
    const hadFocus = element("videos-list").contains(document.activeElement);
    const keys = new Set(entries.map(({ key }) => key));
    for (const [key, row] of this.#rows) {
      if (keys.has(key)) continue;
      row.place.remove();
      this.#rows.delete(key);
    }
    entries.forEach((entry, index) => {
      const row = this.#row(entry);
      const list = element("videos-list");
      // A row that is moved would lose the focus.
      if (list.children[index] !== row.place) list.insertBefore(row.place, list.children[index] ?? null);
    });
    element("videos").hidden = entries.length === 0;
    element("to-videos").hidden = entries.length === 0;
    element("to-videos").textContent = `Your videos (${entries.length})`;
    if (hadFocus && document.activeElement === document.body) element("videos-title").focus();
    this.#schedule();
  }

  /** Shows the progress of an upload. */
  showUpload(item) {
    if (this.#rows.has(item) && UPLOAD_STATES[item.state]) this.#row(uploadEntry(item));
  }

  /** The row of an entry, up to date. */
  #row(entry) {
    let row = this.#rows.get(entry.key);
    if (row?.target !== entry.target) {
      const replaced = row?.place;
      row = this.#makeRow(entry);
      replaced?.replaceWith(row.place);
      this.#rows.set(entry.key, row);
    }
    if (row.state.textContent !== entry.state) row.state.textContent = entry.state;
    row.bar.hidden = entry.share === null;
    row.bar.value = Number(entry.share) || 0;
    return row;
  }

  #makeRow({ key, name, target }) {
    const [place, state, bar] = ["li", "span", "progress"].map((tag) => document.createElement(tag));
    state.className = "muted";
    bar.setAttribute("aria-label", name);
    const remove = button("Remove", () => this.#remove(key, name));
    remove.setAttribute("aria-label", `Remove ${name}`);
    place.append(this.#title(key, name, target), state, bar, remove);
    return { place, state, bar, target };
  }

  /** The name of a video, by which it is opened if there is anything to show. */
  #title(key, name, target) {
    if (target === "upload") {
      const title = button(name, () => this.#listeners.opened(key));
      title.className = "link";
      return title;
    }
    const title = document.createElement(target === "none" ? "span" : "a");
    title.textContent = name;
    if (target !== "none") title.href = target;
    return title;
  }

  #remove(key, name) {
    if (typeof key === "string") own.remove(key);
    else this.#listeners.removed(key);
    announce(`${name} removed.`);
  }

  #schedule() {
    if (this.#timer !== null || this.#isRefreshing || document.hidden || !own.all().length) return;
    this.#timer = setTimeout(() => this.#refresh(), REFRESH_MS);
  }

  /** Asks for the jobs that have not ended, one after the other. */
  async #refresh() {
    if (this.#isRefreshing) return;
    clearTimeout(this.#timer);
    this.#timer = null;
    this.#isRefreshing = true;
    const followed = this.#listeners.followed();
    for (const video of own.all()) {
      if (document.hidden) break;
      if (own.hasEnded(video) || video.id === followed) continue;
      if (!await this.#ask(video.id)) break;
    }
    this.#isRefreshing = false;
    this.show();
  }

  /** Asks for one job; returns whether the service answers. */
  async #ask(id) {
    try {
      own.update(await api.status(id), this.#listeners.limits());
    } catch ({ status }) {
      if (status !== 404) return false;
      own.expire(id);
    }
    return true;
  }
}

function button(text, clicked) {
  const made = document.createElement("button");
  Object.assign(made, { type: "button", className: "button quiet", textContent: text });
  made.addEventListener("click", clicked);
  return made;
}

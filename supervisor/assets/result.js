// The result of a job: the player with its curves, the figures, the downloads.

import * as api from "./api.js";
import { curves } from "./curves.js";
import { Player } from "./player.js";
import { PoseData } from "./pose.js";
import * as words from "./words.js";

const element = (id) => document.getElementById(id);

const KINDS = {
  video: ["Video", "With the skeleton drawn over it"],
  csv: ["Landmarks, CSV", "One row for each frame and landmark"],
  json: ["Landmarks, JSON", "The same, as a document"],
  angles: ["Joint angles, CSV", "One row for each frame"],
  trc: ["TRC", "Marker positions for OpenSim"],
  openpose: ["OpenPose JSON", "Keypoints in OpenPose's own order"],
  parquet: ["Parquet", "Landmarks, for data frames"],
  preview: ["Preview", "The first seconds, small"],
  thumbnail: ["Thumbnail", "The clearest frame"],
  metadata: ["Metadata", "What the video was and how it went"],
};

const NOBODY = "Nobody was found in this video. It helps if the whole body is in the picture, near and well lit; "
  + "the mode Quality looks hardest.";
const NO_POSE = "This job was asked for other files than the pose as JSON, so it cannot be played here. Its files are below.";

export class Result {
  #player = new Player();
  #pose = null;

  constructor() {
    element("who").addEventListener("change", ({ target }) => this.#attend(Number(target.value)));
  }

  /** Shows a completed job; `url` plays the viewer's own file, if this page has it. */
  async open(status, url, limits) {
    element("result-title").textContent = status.filename;
    this.#facts(status);
    this.#downloads(status);
    const end = Date.parse(status.completed_at) + limits.result_ttl_s * 1000;
    element("kept").textContent = end ? `Kept until ${words.hour(end)}, then removed.` : "";
    const { json, video } = status.urls;
    const isFound = status.statistics.frames_detected > 0;
    element("result-note").textContent = (!json && NO_POSE) || (!isFound && NOBODY) || "";
    element("player").hidden = !json;
    element("angles").hidden = !json || !isFound;
    if (!json) return;
    this.#pose = new PoseData(await api.document(json));
    element("views").classList.toggle("wide", this.#pose.width > this.#pose.height);
    this.#offerPeople();
    this.#player.open(this.#pose, [url, video].filter(Boolean));
    this.#attend(this.#pose.people[0] ?? null);
  }

  close() {
    this.#player.close();
  }

  #offerPeople() {
    const { people } = this.#pose;
    element("who").replaceChildren(...people.map((id) => new Option(`Person ${id}`, id)));
    element("who-label").hidden = people.length < 2;
  }

  /** Has the curves tell of one of the people. */
  #attend(person) {
    const move = curves(element("curves"), this.#pose, person, (frame) => this.#player.seek(frame));
    this.#player.attend(person, move);
  }

  #facts({ statistics, attempts }) {
    const last = attempts.at(-1);
    const facts = [
      ["frames", String(statistics.frames_processed)],
      ["with a person", words.percent(statistics.detection_rate)],
    ];
    if (statistics.people > 1) facts.push(["people", String(statistics.people)]);
    if (statistics.frames_detected) facts.push(["mean visibility", words.percent(statistics.average_quality)]);
    if (last) facts.push(["processing time", `${(last.wall_ms / 1000).toFixed(1)} s`], ["peak memory", words.bytes(last.peak_bytes)]);
    const rows = facts.map(([name, value]) => {
      const row = document.createElement("div");
      const [term, definition] = [document.createElement("dt"), document.createElement("dd")];
      term.textContent = name;
      definition.textContent = value;
      row.append(term, definition);
      return row;
    });
    element("facts").replaceChildren(...rows);
  }

  #downloads({ job_id: id, urls }) {
    const known = Object.keys(KINDS);
    const rank = (kind) => (known.indexOf(kind) + known.length + 1) % (known.length + 1);
    const kinds = Object.keys(urls).filter((kind) => urls[kind]).sort((a, b) => rank(a) - rank(b));
    element("downloads").replaceChildren(...kinds.map((kind) => download(id, kind, urls[kind])));
  }
}

function download(id, kind, url) {
  const [name, what] = KINDS[kind] ?? [kind, url.split("/").at(-1)];
  const item = document.createElement("li");
  const link = document.createElement("a");
  link.href = `/api/download/${id}/${kind}`;
  link.download = "";
  const [title, size, hint] = ["strong", "span", "span"].map((tag) => document.createElement(tag));
  title.textContent = name;
  size.className = "size muted";
  hint.className = "what muted";
  hint.textContent = what;
  link.append(title, size, hint);
  item.append(link);
  // A size is a courtesy; without it the link is as good.
  api.size(url).then((bytes) => { if (bytes) size.textContent = words.bytes(bytes); }, () => {});
  return item;
}

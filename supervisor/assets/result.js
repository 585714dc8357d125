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

export class Result {
  #player = new Player();

  /** Shows a completed job; `url` plays the viewer's own file, if this page has it. */
  async open(status, url, limits) {
    element("result-title").textContent = status.filename;
    this.#facts(status);
    this.#downloads(status);
    const kept = limits.result_ttl_s && `Kept for ${words.seconds(limits.result_ttl_s)}, then removed.`;
    element("kept").textContent = kept || "";
    const pose = new PoseData(await api.document(status.urls.json));
    const move = curves(element("curves"), pose, (frame) => this.#player.seek(frame));
    const sources = [url, status.urls.video].filter(Boolean);
    this.#player.open(pose, sources, move);
  }

  close() {
    this.#player.close();
  }

  #facts({ statistics, attempts }) {
    const last = attempts.at(-1);
    const facts = [
      ["frames", String(statistics.frames_processed)],
      ["with a person", words.percent(statistics.detection_rate)],
      ["mean visibility", words.percent(statistics.average_quality)],
    ];
    if (last) facts.push(["taken", `${(last.wall_ms / 1000).toFixed(1)} s`], ["memory", words.bytes(last.peak_bytes)]);
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

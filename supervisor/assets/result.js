// The result of a job: player, joint-angle charts, key figures, downloads.

import * as api from "./api.js";
import { Curves } from "./curves.js";
import { Downloads } from "./downloads.js";
import { showFacts, showWarnings } from "./facts.js";
import * as format from "./format.js";
import * as link from "./link.js";
import { People } from "./people.js";
import * as personFiles from "./person_files.js";
import { pictureSources } from "./picture_sources.js";
import { Player } from "./player.js";
import { PoseData } from "./pose.js";

const element = (id) => document.getElementById(id);

const NO_PERSON = "No person was found in this video. It helps if the whole body is visible, close and well lit. "
  + "Quality mode searches most thoroughly.";
const NO_POSE = "This job has no pose_data.json, so it can't be played here. Download its files below.";

export class Result {
  #player = new Player();
  #curves = new Curves((frame) => this.#player.seek(frame));
  #downloads;
  #people;
  #document = null;
  #urls = {};
  /** The poses of everybody, and those that are shown. */
  #whole = null;
  #pose = null;
  /** Counts what is opened and closed: only the latest is shown. */
  #turn = 0;

  /**
   * Calls `follow` with the place of a person who is to be followed in the whole video, and `again` with a file that is to
   * be processed once more, and its options; `fileOf` gives the file of a job if this page has it.
   */
  constructor({ follow, again, fileOf }) {
    this.#downloads = new Downloads({ again, fileOf });
    this.#people = new People({ chosen: (entry) => this.#only(entry), follow });
    element("who").addEventListener("change", ({ target }) => this.#selectPerson(Number(target.value)));
  }

  /** Shows a completed job; `url` plays the local file, if this page has it. */
  async open(status, url, limits) {
    element("result-title").textContent = status.filename;
    showFacts(status, null);
    this.#downloads.open(status);
    const end = Date.parse(status.completed_at) + limits.result_ttl_s * 1000;
    element("kept").textContent = end ? `Available until ${format.hour(end)}, then deleted.` : "";
    const { json } = status.urls;
    const isFound = status.statistics.frames_detected > 0;
    element("result-note").textContent = (!json && NO_POSE) || (!isFound && NO_PERSON) || "";
    showWarnings(status.warnings);
    element("player").hidden = !json;
    element("angles").hidden = !json || !isFound;
    if (!json) return;
    const turn = ++this.#turn;
    const isLeft = () => turn !== this.#turn;
    const poses = await unless(isLeft, api.document(json));
    if (isLeft()) return;
    this.#urls = status.urls;
    this.#document = poses;
    this.#whole = new PoseData(this.#document, status.start ?? 0);
    this.#pose = this.#whole;
    showFacts(status, this.#whole);
    element("views").classList.toggle("wide", this.#pose.width > this.#pose.height);
    this.#offerPeople();
    const { frame } = link.read();
    const first = frame ? Math.min(frame, this.#pose.frames.length) - 1 : this.#pose.firstSeen;
    this.#player.open(status, this.#pose, pictureSources(status, url), first);
    this.#selectPerson(this.#pose.people[0] ?? null);
    if (!status.urls.people) return;
    const people = await unless(isLeft, api.document(status.urls.people));
    if (!isLeft()) this.#people.open(people);
  }

  close() {
    this.#turn += 1;
    this.#player.close();
    this.#curves.close();
    this.#people.close();
    personFiles.withdraw();
  }

  /** Shows only the person of an entry of people.json, or everybody. */
  #only(entry) {
    this.#pose = entry ? this.#whole.only(personFiles.isOf(entry)) : this.#whole;
    this.#player.replace(this.#pose);
    this.#offerPeople();
    this.#selectPerson(this.#pose.people[0] ?? null);
    if (entry) {
      this.#player.seek(this.#pose.at(entry.best_s - this.#pose.start));
      personFiles.offer(this.#urls, entry, this.#document);
    } else {
      personFiles.withdraw();
    }
  }

  #offerPeople() {
    const { people } = this.#pose;
    element("who").replaceChildren(...people.map((id) => new Option(`Person ${id}`, id)));
    element("who-label").hidden = people.length < 2;
  }

  /** Shows the charts of one person. */
  #selectPerson(person) {
    const move = this.#curves.open(element("result-title").textContent, this.#pose, person);
    this.#player.selectPerson(person, move);
  }
}

/** What is awaited; no problem of it matters once the result was left. */
async function unless(isLeft, awaited) {
  try {
    return await awaited;
  } catch (problem) {
    if (isLeft()) return null;
    throw problem;
  }
}

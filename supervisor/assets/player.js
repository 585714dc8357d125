// The controls of the video of a result, and the current frame, which the charts follow.

import * as link from "./link.js";
import { listenToKeys } from "./player_keys.js";
import { PlayRange } from "./play_range.js";
import { Screen } from "./screen.js";
import { SourceNote } from "./source_note.js";

const element = (id) => document.getElementById(id);

export class Player {
  #scrub = element("scrub");
  #screen;
  #range;
  #note;
  /** Other screens, which show the same times. */
  #followers = new Set();
  /** Becomes the view in 3D, and what shows another result. */
  #space = null;
  #compare = null;
  #name = "";
  #onFrame = () => {};

  constructor() {
    this.#screen = new Screen(element("stage"), {
      frame: (index) => this.#shown(index),
      playing: (time) => this.#played(time),
      source: (source) => this.#note.show(source),
    });
    this.#range = new PlayRange(() => this.#screen.frame);
    this.#note = new SourceNote((source) => this.#screen.use(source));
    this.#connectButtons();
    this.#connectSettings();
    const { video } = this.#screen;
    for (const event of ["play", "pause", "ended"]) video.addEventListener(event, () => this.#showState());
    video.addEventListener("ended", () => this.#screen.pose && this.#ended());
    listenToKeys(() => this.#screen.pose && !element("player").hidden, {
      toggle: () => this.toggle(),
      step: (frames) => this.step(frames),
      first: () => this.seek(this.#range.first),
      last: () => this.seek(this.#range.last),
    });
  }

  #connectButtons() {
    const actions = {
      play: () => this.toggle(),
      stage: () => this.toggle(),
      back: () => this.step(-1),
      forward: () => this.step(1),
      full: () => (document.fullscreenElement ? document.exitFullscreen() : element("player").requestFullscreen()),
      snapshot: () => this.#save(),
      "compare-open": async () => (await this.#loadCompare()).toggle(),
    };
    for (const [id, act] of Object.entries(actions)) element(id).addEventListener("click", act);
    element("full").hidden = !document.fullscreenEnabled;
    document.addEventListener("fullscreenchange", () => {
      element("full").setAttribute("aria-pressed", Boolean(document.fullscreenElement));
    });
  }

  #connectSettings() {
    const { video } = this.#screen;
    const onChange = (id, set) => element(id).addEventListener("change", ({ target }) => set(target));
    onChange("speed", ({ value }) => {
      video.playbackRate = Number(value);
      // A new source begins with this one.
      video.defaultPlaybackRate = Number(value);
      this.#syncFollowers();
    });
    onChange("sound", ({ checked }) => { video.muted = !checked; });
    onChange("show", () => this.#showSkeletons());
    onChange("read-outs", () => this.#showReadOuts());
    onChange("space-shown", () => this.#showSpace());
    this.#scrub.addEventListener("input", () => this.seek(Number(this.#scrub.value)));
  }

  /** Shows a frame of the pose of a job over the first source that plays. */
  open({ filename: name, file_size_mb: megabytes, start }, pose, sources, frame) {
    this.#name = name;
    this.#note.open({ megabytes, begins: start ?? 0 });
    this.#scrub.max = Math.max(0, pose.frames.length - 1);
    this.#range.open(pose);
    this.#screen.open(pose, sources, frame);
    const { other } = link.read();
    if (other) this.#loadCompare().then((compare) => compare.show(other));
  }

  /** Shows these people, in the same frames, from the next selection of a person on. */
  replace(pose) {
    this.#screen.replace(pose);
  }

  /** Selects a person; `onFrame` is called with the index of each frame shown. */
  selectPerson(person, onFrame) {
    this.#onFrame = onFrame;
    this.#screen.person = person;
    this.#showReadOuts();
    this.#screen.show(this.#screen.frame);
  }

  close() {
    if (document.fullscreenElement) document.exitFullscreen();
    this.#compare?.then((compare) => compare.close());
    this.#screen.close();
    this.#onFrame = () => {};
  }

  /** Everything that shows a video, this player's own first. */
  get screens() {
    return [this.#screen, ...[...this.#followers].flatMap(({ screen }) => screen ?? [])];
  }

  /** Has `follower.sync` called with {index, time, isPlaying, rate} at each frame and change of these. */
  add(follower) {
    this.#followers.add(follower);
    this.#showSkeletons();
    this.#showReadOuts();
    this.#sync(follower);
  }

  remove(follower) {
    this.#followers.delete(follower);
  }

  toggle() {
    const { video, pose, frame } = this.#screen;
    if (!pose) return;
    // At its end a video pauses by itself, also one that is about to be repeated.
    if (!video.paused || (video.ended && this.#range.isLoop)) {
      this.seek(frame);
      return;
    }
    if (!this.#range.has(frame) || frame === this.#range.last) this.#screen.seek(this.#range.first);
    // Rejected if another source was set meanwhile, whose events update the controls.
    video.play().catch(() => {});
  }

  step(frames) {
    this.seek(this.#screen.frame + frames);
  }

  seek(frame) {
    const { video, pose } = this.#screen;
    if (!pose) return;
    video.pause();
    this.#screen.seek(Math.min(pose.frames.length - 1, Math.max(0, frame)));
  }

  /** A video may end before the last frame does, or without having shown it. */
  #ended() {
    // It may have been paused or moved meanwhile.
    if (!this.#screen.video.ended) return;
    if (!this.#range.isLoop) {
      this.seek(this.#range.last);
      return;
    }
    this.#screen.seek(this.#range.first);
    this.#screen.video.play().catch(() => {});
  }

  /** Ends or repeats what is played once all of it has been shown; says whether it did. */
  #played(time) {
    if (!this.#range.isOver(time)) return false;
    if (this.#range.isLoop) this.#screen.seek(this.#range.first);
    else this.seek(this.#range.last);
    return true;
  }

  #shown(index) {
    const { pose } = this.#screen;
    const time = pose.start + (pose.times[index] ?? 0);
    this.#scrub.value = index;
    const place = `frame ${index + 1} of ${pose.frames.length}`;
    this.#scrub.setAttribute("aria-valuetext", `${time.toFixed(2)} seconds, ${place}`);
    element("clock").textContent = `${time.toFixed(2)} s`;
    element("place").textContent = place;
    this.#onFrame(index);
    this.#syncFollowers();
  }

  #syncFollowers() {
    for (const follower of this.#followers) this.#sync(follower);
  }

  #sync(follower) {
    const { video, pose, frame } = this.#screen;
    if (!pose) return;
    follower.sync({ index: frame, time: pose.times[frame] ?? 0, isPlaying: this.isPlaying, rate: video.playbackRate });
  }

  get isPlaying() {
    return !this.#screen.video.paused && !this.#screen.video.ended;
  }

  #showState() {
    const { isPlaying } = this;
    element("play").classList.toggle("playing", isPlaying);
    element("play").setAttribute("aria-label", isPlaying ? "Pause" : "Play");
    this.#syncFollowers();
  }

  #showSkeletons() {
    for (const screen of this.screens) screen.isSkeletonShown = element("show").checked;
  }

  /** Draws the joint angles of the selected person into each picture, or removes them. */
  async #showReadOuts() {
    const isShown = element("read-outs").checked;
    element("read-outs-hint").hidden = !isShown;
    const { readOuts } = isShown ? await import("./read_outs.js") : {};
    // The setting may have changed meanwhile.
    if (element("read-outs").checked !== isShown) return;
    for (const screen of this.screens) {
      screen.layer = isShown && screen.pose ? readOuts(screen.pose, screen.person) : null;
    }
  }

  /** What shows another result, loaded when it is first asked for. */
  #loadCompare() {
    this.#compare ??= import("./compare.js").then(({ Compare }) => new Compare(this));
    return this.#compare;
  }

  /** Shows or hides the view in 3D, which is loaded when it is first asked for. */
  async #showSpace() {
    this.#space ??= import("./space_view.js").then(({ SpaceView }) => new SpaceView(this.#screen));
    const space = await this.#space;
    const isShown = element("space-shown").checked;
    element("space").hidden = !isShown;
    if (isShown) this.add(space);
    else this.remove(space);
  }

  async #save() {
    const said = element("player-said");
    try {
      const { saveSnapshot } = await import("./snapshot.js");
      said.textContent = `Saved ${await saveSnapshot(this.screens, this.#name, this.#screen.frame + 1)}.`;
    } catch {
      said.textContent = "Couldn't save a picture of this video. Try again once it is shown.";
    }
  }
}

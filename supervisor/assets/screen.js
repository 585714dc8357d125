// A video with the skeletons of a job over it, at the time of the video.

import { within } from "./picture_sources.js";
import { clear, draw, fit } from "./skeleton.js";

export class Screen {
  #stage;
  #canvas;
  #listeners;
  #pose = null;
  #frame = 0;
  #sources = [];
  #source = null;
  /** The `person_id` of the selected person. */
  #person = null;
  #isSkeletonShown = true;
  /** Draws more over the picture, or null. */
  #layer = null;

  /**
   * `stage` contains a video and a canvas. Calls `listeners.frame` with the index of each frame shown, `playing` with the
   * time of each during playback, and `source` with the source that is played, null for none.
   */
  constructor(stage, listeners = {}) {
    this.#stage = stage;
    this.#listeners = listeners;
    this.video = stage.querySelector("video");
    this.#canvas = stage.querySelector("canvas");
    const { video } = this;
    video.addEventListener("seeked", () => this.#follow(this.time));
    video.addEventListener("timeupdate", () => video.paused || this.#follow(this.time));
    video.addEventListener("error", () => this.#nextSource());
    video.addEventListener("loadedmetadata", () => this.#check());
    new ResizeObserver(() => this.paint()).observe(stage);
    this.#watch();
  }

  /** Shows a frame of the pose over the first source that plays. */
  open(pose, sources, frame) {
    this.#pose = pose;
    this.#sources = [...sources];
    this.#stage.style.setProperty("--ratio", pose.width / pose.height);
    this.show(frame);
    this.#nextSource();
  }

  /** Plays another source, at the same frame. */
  use(source) {
    this.#sources = [source];
    this.#nextSource();
  }

  /** Shows these people, in the same frames. */
  replace(pose) {
    this.#pose = pose;
  }

  close() {
    this.#pose = null;
    this.#source = null;
    this.#sources = [];
    this.#layer = null;
    this.video.pause();
    this.video.removeAttribute("src");
    this.video.load();
    clear(this.#canvas);
  }

  get pose() {
    return this.#pose;
  }

  get frame() {
    return this.#frame;
  }

  get person() {
    return this.#person;
  }

  /** The time from the start of the part, in seconds. */
  get time() {
    return this.video.currentTime - (this.#source?.begins ?? 0);
  }

  set time(seconds) {
    this.video.currentTime = (this.#source?.begins ?? 0) + seconds;
  }

  set person(id) {
    this.#person = id;
    this.paint();
  }

  set isSkeletonShown(isShown) {
    this.#isSkeletonShown = isShown;
    this.paint();
  }

  /** A function of a canvas, the frame as shown, and its index. */
  set layer(layer) {
    this.#layer = layer;
    this.paint();
  }

  /** Moves the video to a frame of the part. */
  seek(index) {
    const { times, end } = this.#pose;
    if (times[index] === undefined) return;
    // A little into the frame, so that rounding never shows the previous one.
    const next = times[index + 1] ?? end;
    this.time = times[index] + (next - times[index]) / 4;
    this.show(index);
  }

  show(index) {
    this.#frame = index;
    this.paint();
    this.#listeners.frame?.(index);
  }

  paint() {
    fit(this.#canvas);
    this.drawOver(this.#canvas);
  }

  /** Draws on a canvas, of any size, what is over the video. */
  drawOver(canvas) {
    clear(canvas);
    const whole = this.#pose?.frames[this.#frame];
    if (!whole) return;
    const { area, isClean } = this.#source ?? { area: null, isClean: true };
    const frame = area ? within(whole, area) : whole;
    if (isClean && this.#isSkeletonShown) draw(canvas, frame, this.#pose, this.#person);
    this.#layer?.(canvas, frame, this.#frame);
  }

  /** Uses the next source: the browser may not play the format of a local file. */
  #nextSource() {
    const next = this.#sources.shift();
    if (!next) return;
    this.#source = next;
    this.video.src = next.url;
    this.#listeners.source?.(next);
  }

  /** Some browsers play only the sound if they do not support the video codec. */
  #check() {
    if (!this.#pose) return;
    const { videoWidth: width, videoHeight: height } = this.video;
    if (!width) {
      this.#nextSource();
      return;
    }
    const { area } = this.#source;
    this.#stage.style.setProperty("--ratio", area ? width / height : this.#pose.width / this.#pose.height);
    this.seek(this.#frame);
  }

  #watch() {
    const { video } = this;
    if ("requestVideoFrameCallback" in video) {
      const onFrame = (_, { mediaTime }) => {
        if (!video.paused) this.#follow(mediaTime - (this.#source?.begins ?? 0));
        video.requestVideoFrameCallback(onFrame);
      };
      video.requestVideoFrameCallback(onFrame);
    } else {
      const onPaint = () => {
        if (!video.paused) this.#follow(this.time);
        requestAnimationFrame(onPaint);
      };
      requestAnimationFrame(onPaint);
    }
  }

  /** Shows the frame at a time from the start of the part. */
  #follow(time) {
    if (!this.#pose) return;
    if (!this.video.paused && this.#listeners.playing?.(time)) return;
    this.show(this.#pose.at(time));
  }
}

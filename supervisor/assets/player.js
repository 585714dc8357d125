// The video with the skeleton overlay, its controls, and the current frame that the charts follow.

import { clear, draw, fit } from "./skeleton.js";

const element = (id) => document.getElementById(id);

export class Player {
  #video = element("video");
  #canvas = element("skeleton");
  #scrub = element("scrub");
  #pose = null;
  #frame = 0;
  #source = null;
  /** Where the part begins in the source, in seconds. */
  #begins = 0;
  /** Whether the source shows only an area of the picture that the poses are of. */
  #isArea = false;
  /** The `person_id` of the selected person. */
  #person = null;
  #onFrame = () => {};

  constructor() {
    const video = this.#video;
    element("play").addEventListener("click", () => this.toggle());
    element("stage").addEventListener("click", () => this.toggle());
    element("back").addEventListener("click", () => this.step(-1));
    element("forward").addEventListener("click", () => this.step(1));
    element("speed").addEventListener("change", ({ target }) => {
      video.playbackRate = Number(target.value);
    });
    element("sound").addEventListener("change", ({ target }) => {
      video.muted = !target.checked;
    });
    element("show").addEventListener("change", () => this.#paint());
    this.#scrub.addEventListener("input", () => this.seek(Number(this.#scrub.value)));
    for (const event of ["play", "pause", "ended"]) {
      video.addEventListener(event, () => this.#showState());
    }
    video.addEventListener("seeked", () => this.#follow(video.currentTime - this.#begins));
    video.addEventListener("timeupdate", () => video.paused || this.#follow(video.currentTime - this.#begins));
    video.addEventListener("error", () => this.#nextSource());
    video.addEventListener("loadedmetadata", () => this.#check());
    new ResizeObserver(() => this.#paint()).observe(element("stage"));
    this.#watch();
  }

  /** Shows the pose over the first source that plays. */
  open(pose, sources) {
    this.#pose = pose;
    this.#source = [...sources];
    element("stage").style.setProperty("--ratio", pose.width / pose.height);
    this.#scrub.max = Math.max(0, pose.frames.length - 1);
    this.#show(0);
    this.#nextSource();
  }

  /** Shows these people, in the same frames, from the next selection of a person on. */
  replace(pose) {
    this.#pose = pose;
  }

  /** Selects a person; `onFrame` is called with the index of each frame shown. */
  selectPerson(person, onFrame) {
    this.#person = person;
    this.#onFrame = onFrame;
    this.#show(this.#frame);
  }

  close() {
    this.#pose = null;
    this.#source = null;
    this.#video.pause();
    this.#video.removeAttribute("src");
    this.#video.load();
    clear(this.#canvas);
  }

  toggle() {
    if (!this.#pose) return;
    if (!this.#video.paused) {
      this.#video.pause();
      return;
    }
    if (this.#frame >= this.#pose.frames.length - 1) this.#video.currentTime = this.#begins + this.#pose.times[0];
    // Rejected if another source was set meanwhile, whose events update the controls.
    this.#video.play().catch(() => {});
  }

  step(frames) {
    this.seek(this.#frame + frames);
  }

  seek(frame) {
    if (!this.#pose) return;
    this.#video.pause();
    const last = this.#pose.frames.length - 1;
    const index = Math.min(last, Math.max(0, frame));
    // A little into the frame, so that rounding never shows the previous one.
    const next = this.#pose.times[index + 1] ?? this.#pose.end;
    this.#video.currentTime = this.#begins + this.#pose.times[index] + (next - this.#pose.times[index]) / 4;
    this.#show(index);
  }

  /** Uses the next source: the browser may not play the format of a local file. */
  #nextSource() {
    const next = this.#source?.shift();
    if (!next) return;
    this.#begins = next.begins;
    this.#isArea = Boolean(next.isArea);
    this.#video.src = next.url;
    // The video of the service already has the skeleton drawn in.
    element("show-label").hidden = !next.url.startsWith("blob:");
  }

  /** Some browsers play only the sound if they do not support the video codec. */
  #check() {
    const { videoWidth: width, videoHeight: height } = this.#video;
    if (width && this.#isArea) element("stage").style.setProperty("--ratio", width / height);
    if (!width) this.#nextSource();
    else if (this.#begins > 0) this.seek(this.#frame);
  }

  #watch() {
    const video = this.#video;
    if ("requestVideoFrameCallback" in video) {
      const onFrame = (_, { mediaTime }) => {
        if (!video.paused) this.#follow(mediaTime - this.#begins);
        video.requestVideoFrameCallback(onFrame);
      };
      video.requestVideoFrameCallback(onFrame);
    } else {
      const onPaint = () => {
        if (!video.paused) this.#follow(video.currentTime - this.#begins);
        requestAnimationFrame(onPaint);
      };
      requestAnimationFrame(onPaint);
    }
  }

  /** Shows the frame at a time from the start of the part. */
  #follow(time) {
    if (!this.#pose) return;
    // A long video is analysed up to the limit, so there is nothing to show after it.
    if (time > this.#pose.end && !this.#video.paused) this.#video.pause();
    this.#show(this.#pose.at(time));
  }

  #show(index) {
    this.#frame = index;
    const time = this.#pose.start + (this.#pose.times[index] ?? 0);
    this.#scrub.value = index;
    const place = `frame ${index + 1} of ${this.#pose.frames.length}`;
    this.#scrub.setAttribute("aria-valuetext", `${time.toFixed(2)} seconds, ${place}`);
    element("clock").textContent = `${time.toFixed(2)} s`;
    element("place").textContent = place;
    this.#paint();
    this.#onFrame(index);
  }

  #paint() {
    fit(this.#canvas);
    const frame = this.#pose?.frames[this.#frame];
    const isShown = !this.#isArea && (element("show").checked || element("show-label").hidden);
    if (frame && isShown) draw(this.#canvas, frame, this.#pose, this.#person);
    else clear(this.#canvas);
  }

  #showState() {
    const isPlaying = !this.#video.paused && !this.#video.ended;
    element("play").classList.toggle("playing", isPlaying);
    element("play").setAttribute("aria-label", isPlaying ? "Pause" : "Play");
  }
}

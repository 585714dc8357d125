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
    video.addEventListener("seeked", () => this.#follow(video.currentTime));
    video.addEventListener("timeupdate", () => video.paused || this.#follow(video.currentTime));
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
    if (this.#frame >= this.#pose.frames.length - 1) this.#video.currentTime = this.#pose.times[0];
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
    this.#video.currentTime = this.#pose.times[index] + (next - this.#pose.times[index]) / 4;
    this.#show(index);
  }

  /** Uses the next source: the browser may not play the format of a local file. */
  #nextSource() {
    const next = this.#source?.shift();
    if (!next) return;
    this.#video.src = next;
    // The video of the service already has the skeleton drawn in.
    element("show-label").hidden = !next.startsWith("blob:");
  }

  /** Some browsers play only the sound if they do not support the video codec. */
  #check() {
    if (!this.#video.videoWidth) this.#nextSource();
  }

  #watch() {
    const video = this.#video;
    if ("requestVideoFrameCallback" in video) {
      const onFrame = (_, { mediaTime }) => {
        if (!video.paused) this.#follow(mediaTime);
        video.requestVideoFrameCallback(onFrame);
      };
      video.requestVideoFrameCallback(onFrame);
    } else {
      const onPaint = () => {
        if (!video.paused) this.#follow(video.currentTime);
        requestAnimationFrame(onPaint);
      };
      requestAnimationFrame(onPaint);
    }
  }

  #follow(time) {
    if (!this.#pose) return;
    // A long video is analysed up to the limit, so there is nothing to show after it.
    if (time > this.#pose.end && !this.#video.paused) this.#video.pause();
    this.#show(this.#pose.at(time));
  }

  #show(index) {
    this.#frame = index;
    const time = this.#pose.times[index] ?? 0;
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
    if (frame && (element("show").checked || element("show-label").hidden)) draw(this.#canvas, frame, this.#pose, this.#person);
    else clear(this.#canvas);
  }

  #showState() {
    const isPlaying = !this.#video.paused && !this.#video.ended;
    element("play").classList.toggle("playing", isPlaying);
    element("play").setAttribute("aria-label", isPlaying ? "Pause" : "Play");
  }
}

// A second result beside the one of the player, in step with it from their own starts.

import * as api from "./api.js";
import { pictureSources } from "./picture_sources.js";
import { PoseData } from "./pose.js";
import { Screen } from "./screen.js";

const element = (id) => document.getElementById(id);

/** How far two videos that play may be apart, in seconds of the video. */
const DRIFT_S = 0.1;

export class Partner {
  /** The frame at which it is held, null while it plays. */
  #held = null;
  screen = new Screen(element("partner-stage"), {
    source: ({ isClean }) => { element("partner-drawn").hidden = isClean; },
  });

  /** Shows a completed job; throws a `Problem` if it cannot be played. */
  async open(id) {
    const status = await api.status(id);
    if (!status.urls?.json) throw new api.Problem("That video has no result that can be played.");
    const pose = new PoseData(await api.document(status.urls.json), status.start ?? 0);
    element("partner-name").textContent = status.filename;
    element("partner").hidden = false;
    this.#held = null;
    this.screen.open(pose, pictureSources(status, null), 0);
    this.screen.person = pose.people[0] ?? null;
  }

  close() {
    element("partner").hidden = true;
    this.screen.close();
  }

  /** Follows the player: shows what is as far from the start, or the last frame where there is nothing. */
  sync({ time, isPlaying, rate }) {
    const { screen } = this;
    const { pose, video } = screen;
    if (!pose) return;
    video.playbackRate = rate;
    const index = pose.at(time);
    const isOver = time >= pose.end || video.ended;
    if (isPlaying && !isOver) {
      this.#held = null;
      if (!video.seeking && Math.abs(screen.time - time) > DRIFT_S) screen.time = time;
      if (video.paused) video.play().catch(() => {});
    } else if (index !== this.#held) {
      this.#held = index;
      video.pause();
      screen.seek(index);
    }
  }
}

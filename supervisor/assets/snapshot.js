// A picture of what the player shows, videos and skeletons together, saved as a PNG file.

import { saveFile } from "./save_file.js";

/** Draws the screens side by side, all as tall as the tallest video; returns the canvas, or null without a picture. */
function compose(screens) {
  const shown = screens.filter(({ video }) => video.videoWidth > 0);
  if (!shown.length) return null;
  const height = Math.max(...shown.map(({ video }) => video.videoHeight));
  const widths = shown.map(({ video }) => Math.round((video.videoWidth / video.videoHeight) * height));
  const canvas = Object.assign(document.createElement("canvas"), { width: widths.reduce((a, b) => a + b), height });
  const context = canvas.getContext("2d");
  let left = 0;
  for (const [index, screen] of shown.entries()) {
    const over = Object.assign(document.createElement("canvas"), { width: widths[index], height });
    screen.drawOver(over);
    context.drawImage(screen.video, left, 0, widths[index], height);
    context.drawImage(over, left, 0);
    left += widths[index];
  }
  return canvas;
}

/** Saves the picture of a frame of a video; throws if the browser does not allow it. */
export async function saveSnapshot(screens, video, frame) {
  const canvas = compose(screens);
  const blob = canvas && await new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
  if (!blob) throw new Error("The video has no picture yet.");
  const stem = video.replace(/\.[^.]*$/, "");
  const name = `${stem}_frame_${String(frame).padStart(5, "0")}.png`;
  saveFile(name, blob);
  return name;
}

// Checks a video before it is uploaded, against the limits of the service. The service checks again.

import * as format from "./format.js";

/** Extensions of video containers for which some systems report no media type. */
const EXTENSIONS = /\.(mp4|m4v|mov|qt|3gp|3g2|mkv|webm|avi|wmv|asf|ts|m2ts|mts|mpe?g|vob|ogv|flv|mxf|dv|y4m|[hx]?26[45]|hevc|gif|a?png)$/i;
/** Media types of animations and of containers that are not called video. */
const OTHER_TYPES = ["application/mxf", "application/ogg", "image/apng", "image/gif", "image/png"];
/** A browser and the service may measure slightly different durations. */
const SLACK_S = 0.25;

/** Checks type and size; gives a sentence, or null if both are fine. */
export function checkFile(file, { upload_bytes_max: most }) {
  const isVideo = file.type
    ? file.type.startsWith("video/") || OTHER_TYPES.includes(file.type)
    : EXTENSIONS.test(file.name);
  if (!isVideo) return `${file.name} is not a video. Select an MP4, MOV, WebM or similar file.`;
  if (!file.size) return `${file.name} is empty. Select another file.`;
  if (most && file.size > most) {
    return `${file.name} is ${format.bytes(file.size)}; the limit is ${format.bytes(most)}. Trim or compress it.`;
  }
  return null;
}

/** Until then a player has read the beginning of a file, or it does not know the format. */
const MEASURE_MS_MAX = 10_000;

/** What the player of this browser says about a file: {duration, width, height}, or null if it cannot play it. */
export async function measure(file) {
  const video = document.createElement("video");
  video.muted = true;
  video.preload = "metadata";
  const url = URL.createObjectURL(file);
  const isRead = await new Promise((resolve) => {
    video.onloadedmetadata = () => resolve(true);
    video.onerror = () => resolve(false);
    setTimeout(resolve, MEASURE_MS_MAX, false);
    video.src = url;
  });
  const { duration, videoWidth: width, videoHeight: height } = video;
  video.removeAttribute("src");
  URL.revokeObjectURL(url);
  return isRead ? { duration, width, height } : null;
}

/** Checks the length of the chosen part; gives a sentence, or null. */
export function checkLength({ name, length }, limits) {
  if (length === 0) return `The chosen part begins after the end of ${name}. Choose an earlier one.`;
  const isLong = length > limits.duration_s_max + SLACK_S;
  if (isLong && limits.on_long === "reject") {
    return `${name} is ${length.toFixed(1)} s long; the limit is ${limits.duration_s_max} s. Choose a part of it.`;
  }
  return null;
}

/** Whether only the beginning of the chosen part will be analysed. */
export const isTrimmed = (length, { duration_s_max: most, on_long: onLong }) => onLong === "trim" && length > most + SLACK_S;

/** Checks the frame size as measured by the player; gives a sentence, or null. */
export function checkSize({ name, width, height }, limits) {
  if (Math.max(width, height) > limits.side_px_max || width * height > limits.area_px_max) {
    return `${name} is ${width} × ${height} pixels; the limit is ${limits.side_px_max} pixels per side and `
      + `${(limits.area_px_max / 1e6).toFixed(1)} megapixels. Select a smaller copy.`;
  }
  return null;
}

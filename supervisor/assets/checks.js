// Why a video would be refused, as far as it can be told before it is sent. The service has the
// last word; what is said here is in its sense.

import * as words from "./words.js";

/** Containers whose files some systems give no media type. */
const EXTENSIONS = /\.(mp4|m4v|mov|qt|3gp|3g2|mkv|webm|avi|wmv|asf|ts|m2ts|mts|mpe?g|vob|ogv|flv)$/i;
/** A browser and the service may see the length of a video a little differently. */
const SLACK_S = 0.25;

/** What is wrong with a file, from outside. */
export function outside(file, { upload_bytes_max: most }) {
  const isVideo = file.type ? file.type.startsWith("video/") : EXTENSIONS.test(file.name);
  if (!isVideo) return `${file.name} is not a video; choose an MP4, MOV, WebM or similar file.`;
  if (!file.size) return `${file.name} is empty; choose another file.`;
  if (most && file.size > most) {
    return `${file.name} has ${words.bytes(file.size)}, more than the ${words.bytes(most)} that can be sent; `
      + "choose a shorter or more strongly compressed one.";
  }
  return null;
}

/** What is wrong with it, from inside: what a player in this page tells of it. */
export function inside({ name, duration, width, height }, limits) {
  const isLong = duration > limits.duration_s_max + SLACK_S;
  if (isLong && limits.on_long === "reject") {
    return `${name} is ${duration.toFixed(1)} s long, more than the ${limits.duration_s_max} s that are taken; `
      + "choose a shorter one, or cut it.";
  }
  if (Math.max(width, height) > limits.side_px_max || width * height > limits.area_px_max) {
    return `${name} has a picture of ${width} × ${height} pixels, more than is taken; choose a smaller copy.`;
  }
  return null;
}

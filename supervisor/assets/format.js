// Numbers formatted for display.

export function bytes(count) {
  if (count < 1000) return `${count} bytes`;
  if (count < 1000 << 10) return `${Math.round(count / 1024)} KB`;
  const mebibytes = count / (1 << 20);
  if (mebibytes >= 1024) return `${(mebibytes / 1024).toFixed(1)} GB`;
  return `${mebibytes < 10 ? mebibytes.toFixed(1) : Math.round(mebibytes)} MB`;
}

export function seconds(count) {
  if (count < 90) return `${Math.max(1, Math.round(count))} s`;
  if (count < 60 * 60) return `${Math.round(count / 60)} min`;
  const hours = count / 3600;
  return `${Number.isInteger(hours) ? hours : hours.toFixed(1)} h`;
}

/** A part of a whole, such as `116 of 384 MB`; the unit of the part is left out if it is the same. */
export function share(part, whole) {
  const [first, second] = [bytes(part), bytes(whole)];
  const [count, unit] = first.split(" ");
  return `${second.endsWith(` ${unit}`) ? count : first} of ${second}`;
}

/** The time of day. */
export const hour = (ms) => new Date(ms).toLocaleTimeString([], { hour: "numeric", minute: "2-digit" });

/** What is said of a video that is longer than the limit; `start` is where the chosen part begins, if not at 0. */
export const trimmed = (seconds, start) =>
  (start ? `Only ${seconds} s are analysed, from ${start} s on.` : `Only the first ${seconds} s are analysed.`);

export const percent = (share) => `${Math.round(share * 100)} %`;

export const degrees = (angle) => (Number.isFinite(angle) ? `${Math.round(angle)}°` : "–");

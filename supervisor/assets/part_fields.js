// The fields that choose a part of the video: from and to which second, which area, and how slow it plays.

const element = (id) => document.getElementById(id);

/** Element ids and the form fields they set. */
const FIELDS = [["from", "start"], ["until", "end"], ["slow", "slow_motion"]];
/** The sides of the area in percent, and what they are where nothing is entered. */
const AREA = [["area-left", 0], ["area-top", 0], ["area-width", 100], ["area-height", 100]];

const text = (id) => element(id).value.trim();

/** Left, top, width and height of the area in percent. */
const area = () => AREA.map(([id, whole]) => (text(id) ? Number(text(id)) : whole));

/** The values that are set, as form fields. */
export function values() {
  const fields = Object.fromEntries(FIELDS.filter(([id]) => text(id)).map(([id, name]) => [name, text(id)]));
  if (AREA.some(([id]) => text(id))) fields.crop = area().map((percent) => +(percent / 100).toFixed(3)).join(",");
  return fields;
}

/** Sets the fields, and shows them if any is set. */
export function restore(fields) {
  for (const [id, name] of FIELDS) element(id).value = fields[name] ?? "";
  const sides = fields.crop?.split(",") ?? [];
  AREA.forEach(([id], index) => {
    element(id).value = sides[index] ? +(Number(sides[index]) * 100).toFixed(1) : "";
  });
  if (fields.crop || FIELDS.some(([, name]) => fields[name])) element("part").open = true;
}

/** Calls the function at each change. */
export function onChange(changed) {
  element("part").addEventListener("input", () => {
    const { start = 0, end } = values();
    const isEmpty = end !== undefined && Number(end) <= Number(start);
    element("until").setCustomValidity(isEmpty ? "This has to be later than the start." : "");
    const [left, top, width, height] = area();
    element("area-width").setCustomValidity(left + width > 100 ? "Left and width together are at most 100 %." : "");
    element("area-height").setCustomValidity(top + height > 100 ? "Top and height together are at most 100 %." : "");
    changed();
  });
}

/** How many seconds of a video of this duration are chosen. */
export function length(duration) {
  const { start = 0, end = Infinity } = values();
  return Math.max(0, Math.min(duration, Number(end)) - Number(start));
}

// What a result is of: duration, resolution, rate, mode, who was followed; and what was left out.

import * as format from "./format.js";

const element = (id) => document.getElementById(id);
/** Less is not said to be missing: the last frame has no stated end. */
const SLACK_S = 0.25;

/** A value of the upload form in its words; the value itself if the form does not offer it. */
function words(id, value) {
  const option = [...element(id).options].find((one) => one.value === value);
  return option?.text.replace(" (recommended)", "") ?? value;
}

/** How much of the video was analysed. */
function duration({ duration_s: whole }, { start, end }) {
  const seconds = (count) => `${count.toFixed(1)} s`;
  if (whole === null || end - start > whole - SLACK_S) return seconds(whole ?? end - start);
  const part = start ? `${start.toFixed(1)} to ${seconds(end)}` : `first ${seconds(end)}`;
  return `${part} of ${seconds(whole)}`;
}

function rate({ frame_rate: rate }) {
  return rate ? `${+(rate[0] / rate[1]).toFixed(2)} fps` : "varies";
}

function followed({ person, max_people: most, statistics }) {
  if (!statistics.frames_detected) return "Nobody";
  if (most > 1) return statistics.people === 1 ? "1 person" : `${statistics.people} people`;
  return person?.includes(",") ? "Chosen person" : words("person", person ?? "");
}

function analysed({ interval, fps }) {
  if (fps !== null) return [["analysed", `${fps} frames a second`]];
  return interval > 1 ? [["analysed", `1 in ${interval} frames`]] : [];
}

/** Shows the facts of a job; `pose` has the video's, if there are poses. */
export function showFacts(status, pose) {
  const facts = [];
  if (pose) facts.push(["duration", duration(pose.video, { start: pose.start, end: pose.start + pose.end })]);
  if (status.width) facts.push(["resolution", `${status.width} × ${status.height}`]);
  if (pose) facts.push(["rate", rate(pose.video)]);
  facts.push(...analysed(status), ["mode", words("mode", status.mode)], ["followed", followed(status)]);
  facts.push(["frames with a person", format.percent(status.statistics.detection_rate)]);
  const rows = facts.map(([name, value]) => {
    const row = document.createElement("div");
    const [term, definition] = [document.createElement("dt"), document.createElement("dd")];
    term.textContent = name;
    definition.textContent = value;
    row.append(term, definition);
    return row;
  });
  element("facts").replaceChildren(...rows);
}

/** Shows what was left out of the results. */
export function showWarnings(warnings) {
  const lines = warnings.map(({ sentence }) => {
    const line = document.createElement("li");
    line.textContent = sentence;
    return line;
  });
  element("warnings").replaceChildren(...lines);
  element("warnings").hidden = lines.length === 0;
}

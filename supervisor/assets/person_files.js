// The files of one person, made from those of all people without asking the service for more.

import { saveFile } from "./save_file.js";

const element = (id) => document.getElementById(id);

/** Whether a person of a frame is the one of an entry of people.json. */
export const isOf = ({ person_id: person, track_id: track }) => ({ person_id: id, track_id: of }) =>
  id === person && (track === null || of === track);

/** pose_data.json with one person; the statistics, which are those of person 0, are left out. */
export function personDocument({ statistics, ...document }, entry) {
  const frames = document.frames.map(({ people, ...frame }) => {
    const [person] = people.filter(isOf(entry));
    return { ...frame, detected: Boolean(person) && !person.filled, strategy: person?.strategy ?? null, people: person ? [person] : [] };
  });
  return { ...document, frames };
}

/** The rows of pose_data.csv that are of one person. */
export function personTable(table, entry) {
  const [head, ...rows] = table.trimEnd().split("\n");
  const columns = head.split(",");
  const [person, track] = ["person_id", "track_id"].map((name) => columns.indexOf(name));
  const isChosen = isOf(entry);
  // The rows of a frame without person 0 have no track.
  const kept = rows.map((row) => row.split(",")).filter((cells) =>
    cells[track] !== "" && isChosen({ person_id: Number(cells[person]), track_id: Number(cells[track]) }));
  return [head, ...kept.map((cells) => cells.join(","))].join("\n") + "\n";
}

/** Offers the files of the person of an entry; `urls` has those of all people. */
export function offer(urls, entry, document) {
  const name = entry.track_id === null ? `person_${entry.person_id}` : `track_${entry.track_id}`;
  element("one-csv").hidden = !urls.csv;
  element("one-csv").onclick = async () => {
    const table = await (await fetch(urls.csv)).text();
    saveFile(`pose_data_${name}.csv`, new Blob([personTable(table, entry)], { type: "text/csv" }));
  };
  element("one-json").onclick = () => {
    const text = JSON.stringify(personDocument(document, entry));
    saveFile(`pose_data_${name}.json`, new Blob([text], { type: "application/json" }));
  };
  element("one").hidden = false;
}

export function withdraw() {
  element("one").hidden = true;
}

// Uses the TypeScript client of docs/clients, compiled into FOLDER/client, over a link that breaks during
// the upload. Prints one JSON object.
//
//     node use.mjs URL VIDEO FOLDER

import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [url, video, folder] = process.argv.slice(2);
const { Client } = await import(pathToFileURL(`${folder}/client/index.js`));

/** What a call throws. */
async function failure(call) {
  const error = await call.then(() => null, (error) => error);
  if (error === null) throw new Error("the call succeeded");
  return { kind: error.name, code: error.code, detail: error.detail };
}

const client = new Client(url);
const file = new Blob([readFileSync(video)]);
const stored = [];
const states = [];
const status = await client.process(file, {
  filename: "walk.mp4",
  options: { interval: 2, formats: ["csv", "json", "metadata"], model: "full" },
  onUpload: (...bytes) => stored.push(bytes),
  onStatus: ({ status }) => states.push(status),
});
const job = status.job_id;
const csv = await (await client.read(job, "csv")).text();
const poses = await client.poses(job);

// What another run of the program has begun.
const begun = await client.beginUpload(file, { options: { formats: "json" } });
const resumed = await client.resumeUpload(begun.id, file).send();
await client.delete(resumed);
await client.delete(job);
await client.delete(job);

const stopped = new Client(url, { signal: AbortSignal.abort(new Error("stopped")) });
console.log(JSON.stringify({
  status: status.status,
  interval: status.interval,
  sha256: status.sha256,
  warnings: status.warnings.map(({ code }) => code),
  formats: Object.keys(status.urls).filter((name) => status.urls[name]).sort(),
  stored,
  states,
  rows: csv.trimEnd().split("\n").length - 1,
  frames: poses.frames.length,
  resumed: resumed === begun.id,
  gone: await failure(client.status(job)),
  refused: await failure(client.upload(file, { options: { mode: "warp" } })),
  failed: await failure(client.process(new Blob(["no video"]))),
  stopped: await stopped.status(job).catch((reason) => reason.message),
}));

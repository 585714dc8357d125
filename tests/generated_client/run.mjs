// Runs the compiled use.ts and prints what it reports.
//
//     node run.mjs URL VIDEO FOLDER

import { readFile } from "node:fs/promises";
import { pathToFileURL } from "node:url";

const [url, video, folder] = process.argv.slice(2);
const { use } = await import(pathToFileURL(`${folder}/use.js`));
console.log(JSON.stringify(await use(url, new Blob([await readFile(video)]))));

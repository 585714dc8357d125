// The shell commands that do what this page did: upload a video with its options, wait, and fetch all results.

import { optionsOf } from "./job_options.js";

/** A word that no shell takes apart. */
const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

/** A file name as curl reads it in a form. */
const named = (name) => `"${name.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;

export function curlCommands(status, origin) {
  const options = Object.entries(optionsOf(status)).map(([name, value]) => `-F ${quoted(`${name}=${value}`)}`);
  const form = [...options, `-F ${quoted(`file=@${named(status.filename)}`)}`].join(" \\\n  ");
  return [
    `job=$(curl -fsS ${form} \\\n  ${quoted(`${origin}/api/upload`)} | sed -n 's/.*"job_id":"\\([^"]*\\)".*/\\1/p') && [ "$job" ] &&`,
    `while curl -fsS "${origin}/api/status/$job" | grep -q '"completed_at":null'; do sleep 2; done &&`,
    `curl -fOJ "${origin}/api/download/$job/all"`,
  ].join("\n");
}

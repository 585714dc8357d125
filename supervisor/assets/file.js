// Reads a chosen file: a piece of it, and what tells it from others.

import { Problem } from "./api.js";

/** Of the beginning and of the end: where recordings differ. */
const SAMPLE_BYTES = 64 << 10;

/** A piece, in memory: a file that is gone must not pass for a line that broke. */
export async function read(piece) {
  try {
    return new Uint8Array(await piece.arrayBuffer());
  } catch {
    // No answer of the service's, but as final as a 400.
    throw new Problem("The file can no longer be read: it was moved, changed or removed. Choose it again.", { status: 400 });
  }
}

/** What tells this file from others. Not its date, which some phones set anew each time it is chosen. */
export async function mark(file) {
  let hash = 0x811c9dc5;
  for (const sample of [file.slice(0, SAMPLE_BYTES), file.slice(-SAMPLE_BYTES)]) {
    // FNV-1a: nothing is kept safe by it.
    for (const byte of await read(sample)) hash = Math.imul(hash ^ byte, 0x01000193);
  }
  return `${file.size}-${hash >>> 0}`;
}

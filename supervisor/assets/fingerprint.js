// Reads parts of a file, and computes its fingerprint.

import { Problem } from "./api.js";

/** Bytes read at the start and at the end of the file, where recordings differ. */
const SAMPLE_BYTES = 64 << 10;

/** Reads a part of the file into memory, so that a missing file is not taken for a failed connection. */
export async function read(blob) {
  try {
    return new Uint8Array(await blob.arrayBuffer());
  } catch {
    // Not a response of the service, but permanent like a 400.
    throw new Problem("The file can no longer be read: it was moved, changed or deleted. Select it again.", { status: 400 });
  }
}

/** Identifies the file. Excludes its date, which some phones change each time it is selected. */
export async function fingerprint(file) {
  let hash = 0x811c9dc5;
  for (const sample of [file.slice(0, SAMPLE_BYTES), file.slice(-SAMPLE_BYTES)]) {
    // FNV-1a: it only has to tell files apart, not resist an attacker.
    for (const byte of await read(sample)) hash = Math.imul(hash ^ byte, 0x01000193);
  }
  return `${file.size}-${hash >>> 0}`;
}

// A download in parts, each of which is tried again alone.

import type { Transport } from "./transport.js";

const PART_BYTES = 4 << 20;

interface Part {
  content: Blob;
  /** The version of the file. */
  etag: string | null;
  /** The size of the file; null if this is all of it. */
  total: number | null;
}

/** Receives a whole file. */
export async function download(transport: Transport, path: string): Promise<Blob> {
  let parts: Blob[] = [];
  let [size, etag] = [0, null as string | null];
  for (;;) {
    const part = await transport.patiently(() => receive(transport, path, size, etag));
    // Without a range it is the whole file, perhaps because it is another one by now.
    if (part.total === null) parts = [];
    parts.push(part.content);
    size += part.content.size;
    etag = part.etag;
    if (part.total === null || size >= part.total) return new Blob(parts, { type: part.content.type });
  }
}

function receive(transport: Transport, path: string, from: number, etag: string | null): Promise<Part> {
  const headers: Record<string, string> = { range: `bytes=${from}-${from + PART_BYTES - 1}` };
  if (etag !== null) headers["if-range"] = etag;
  return transport.send(path, { headers }, async (response) => {
    const total = response.headers.get("content-range")?.split("/")[1];
    const content = await response.blob();
    return { content, etag: response.headers.get("etag"), total: total === undefined ? null : Number(total) };
  });
}

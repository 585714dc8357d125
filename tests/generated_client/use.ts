// Uses the types that openapi-typescript generates from the OpenAPI document of a running service: uploads a
// video, waits, downloads and cleans up. A wrong path, name or type does not compile.

import createClient from "openapi-fetch";
import type { paths } from "./api.js";

const PAUSE_MS = 100;

/** A form of these fields. The generator takes files and bytes for text. */
function asForm(fields: unknown): FormData {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields as Record<string, unknown>)) {
    form.set(name, value instanceof Blob ? value : String(value));
  }
  return form;
}

function present<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new Error(`no ${what}`);
  return value;
}

export async function use(baseUrl: string, video: Blob) {
  const { GET, HEAD, POST, PUT, DELETE } = createClient<paths>({ baseUrl });
  const form = { file: video as unknown as string, interval: 2 };
  const uploaded = await POST("/api/upload", { body: form, bodySerializer: asForm });
  const id = present(uploaded.data, "job").job_id;
  const path = { id };

  let status = present((await GET("/api/status/{id}", { params: { path } })).data, "status");
  while (status.completed_at === null || status.completed_at === undefined) {
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    status = present((await GET("/api/status/{id}", { params: { path } })).data, "status");
  }

  const table = await GET("/api/download/{id}/{kind}", { params: { path: { id, kind: "csv" } }, parseAs: "text" });
  const named = { params: { path: { id, name: "output.mp4" } } };
  const file = await GET("/api/serve/{id}/{name}", { ...named, parseAs: "arrayBuffer" });
  const bytes = new Uint8Array(file.data as ArrayBuffer);
  const kept = await HEAD("/api/serve/{id}/{name}", named);
  const wrong = await PUT("/api/upload", {
    params: { query: { interval: 0 } },
    body: video as unknown as string,
    bodySerializer: (body) => body,
    headers: { "content-type": "video/mp4" },
  });
  const removed = await DELETE("/api/cleanup/{id}", { params: { path } });
  const gone = await GET("/api/status/{id}", { params: { path } });
  return {
    status: status.status,
    interval: status.interval,
    rows: String(table.data).trimEnd().split("\n").length - 1,
    is_mp4: new TextDecoder().decode(bytes.slice(4, 8)) === "ftyp",
    is_whole: Number(kept.response.headers.get("content-length")) === bytes.length,
    location: uploaded.response.headers.get("location") === `/api/status/${id}`,
    wrong: { status: wrong.response.status, code: wrong.error?.code },
    removed: removed.data?.job_id === id,
    gone: { status: gone.response.status, code: gone.error?.code },
  };
}

// Uploads a file with tus-js-client and reports each step on standard output, one JSON object a line.
//
//     node upload.mjs ENDPOINT FILE CHUNK_BYTES [METADATA as JSON]
//
// Each accepted chunk is reported; the library retries when the connection breaks.

import { createRequire } from "node:module";
import { createReadStream } from "node:fs";

const [endpoint, file, chunk, metadata = "{}"] = process.argv.slice(2);
const modules = createRequire(`${process.env.NODE_MODULES}/`);
const { Upload } = modules("tus-js-client");

const report = (what) => process.stdout.write(`${JSON.stringify(what)}\n`);

const upload = new Upload(createReadStream(file), {
  endpoint,
  chunkSize: Number(chunk),
  metadata: JSON.parse(metadata),
  uploadDataDuringCreation: process.env.WITH_CREATION === "yes",
  retryDelays: Array(120).fill(500),
  onChunkComplete: (_, accepted) => report({ accepted }),
  onUploadUrlAvailable: () => report({ url: upload.url }),
  onShouldRetry: (error) => {
    report({ broken: String(error.message).split("\n")[0] });
    return true;
  },
  onError: (error) => {
    report({ error: String(error) });
    process.exit(1);
  },
  onSuccess: ({ lastResponse }) => {
    report({ done: lastResponse.getHeader("Job-Id") });
    process.exit(0);
  },
});
upload.start();

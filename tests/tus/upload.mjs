// Uploads a file with tus-js-client and says on standard output how it goes, one JSON object a line.
//
//     node upload.mjs ENDPOINT FILE CHUNK_BYTES [METADATA as JSON]
//
// Each chunk that is on the server is told; a line that breaks is the library's to mend.

import { createRequire } from "node:module";
import { createReadStream } from "node:fs";

const [endpoint, file, chunk, metadata = "{}"] = process.argv.slice(2);
const modules = createRequire(`${process.env.NODE_MODULES}/`);
const { Upload } = modules("tus-js-client");

const say = (what) => process.stdout.write(`${JSON.stringify(what)}\n`);

const upload = new Upload(createReadStream(file), {
  endpoint,
  chunkSize: Number(chunk),
  metadata: JSON.parse(metadata),
  uploadDataDuringCreation: process.env.AT_ONCE === "yes",
  retryDelays: Array(120).fill(500),
  onChunkComplete: (_, accepted) => say({ accepted }),
  onUploadUrlAvailable: () => say({ url: upload.url }),
  onShouldRetry: (error) => {
    say({ broken: String(error.message).split("\n")[0] });
    return true;
  },
  onError: (error) => {
    say({ error: String(error) });
    process.exit(1);
  },
  onSuccess: ({ lastResponse }) => {
    say({ done: lastResponse.getHeader("Job-Id") });
    process.exit(0);
  },
});
upload.start();

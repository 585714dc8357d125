// Server-sent events by fetch: unlike EventSource it can carry an operator's token.

/** Between two attempts to reach a service that is away. */
const RETRY_MS = 1000;
/** A service that watches itself every second is lost after so long without a word. */
const SILENCE_MS = 6000;

async function read(path, token, onEvent) {
  const stop = new AbortController();
  let timer;
  const heard = () => {
    clearTimeout(timer);
    timer = setTimeout(() => stop.abort(), SILENCE_MS);
  };
  heard();
  try {
    const headers = token ? { authorization: `Bearer ${token}` } : {};
    const response = await fetch(path, { headers, cache: "no-store", signal: stop.signal });
    if (!response.ok) return { status: response.status, problem: await response.json() };
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return {};
      heard();
      const blocks = (text + value).split("\n\n");
      text = blocks.pop();
      blocks.forEach((block) => tell(block, onEvent));
    }
  } finally {
    clearTimeout(timer);
  }
}

function tell(block, onEvent) {
  const lines = block.split("\n");
  const field = (name) => lines.filter((line) => line.startsWith(`${name}: `)).map((line) => line.slice(name.length + 2));
  const data = field("data").join("\n");
  if (data) onEvent(field("event")[0], JSON.parse(data));
}

/** Follows a stream for ever; `denied` is told of a refusal and gives the next token to try. */
export async function stream(path, listeners) {
  let token = null;
  for (;;) {
    let end = {};
    try {
      end = await read(path, token, listeners.event);
    } catch {
      // Away, or silent for too long.
    }
    if (end.status === 401 || end.status === 403) {
      token = await listeners.denied(end.problem);
    } else {
      listeners.lost();
      await new Promise((resolve) => { setTimeout(resolve, RETRY_MS); });
    }
  }
}

// Server-sent events over fetch, which unlike EventSource can send an operator token.

/** Between two attempts to reach the service. */
const RETRY_MS = 1000;
/** The service sends an event every second; after this time without one the connection counts as lost. */
const SILENCE_MS = 6000;

async function read(path, token, onEvent) {
  const stop = new AbortController();
  let timer;
  const restartTimer = () => {
    clearTimeout(timer);
    timer = setTimeout(() => stop.abort(), SILENCE_MS);
  };
  restartTimer();
  try {
    const headers = token ? { authorization: `Bearer ${token}` } : {};
    const response = await fetch(path, { headers, cache: "no-store", signal: stop.signal });
    if (!response.ok) return { status: response.status, problem: await response.json() };
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return {};
      restartTimer();
      const blocks = (text + value).split("\n\n");
      text = blocks.pop();
      blocks.forEach((block) => dispatch(block, onEvent));
    }
  } finally {
    clearTimeout(timer);
  }
}

function dispatch(block, onEvent) {
  const lines = block.split("\n");
  const field = (name) => lines.filter((line) => line.startsWith(`${name}: `)).map((line) => line.slice(name.length + 2));
  const data = field("data").join("\n");
  if (data) onEvent(field("event")[0], JSON.parse(data));
}

/** Follows a stream and reconnects; `denied` gets the problem of a refusal and resolves to a token. */
export async function stream(path, listeners) {
  let token = null;
  for (;;) {
    let end = {};
    try {
      end = await read(path, token, listeners.event);
    } catch {
      // Unreachable, or timed out.
    }
    if (end.status === 401 || end.status === 403) {
      token = await listeners.denied(end.problem);
    } else {
      listeners.lost();
      await new Promise((resolve) => { setTimeout(resolve, RETRY_MS); });
    }
  }
}

// The address of a result: its job, the frame that is shown first, and the job it is compared with.

const JOB = /^[0-9a-f]{32}$/;

/** Reads `#job=ID`, `&frame=N` as the player counts them, from 1, and `&with=ID`; null for what is not given. */
export function read() {
  const parts = new URLSearchParams(location.hash.slice(1));
  const frame = Number(parts.get("frame"));
  const other = parts.get("with") ?? "";
  return {
    job: parts.get("job"),
    frame: Number.isInteger(frame) && frame > 0 ? frame : null,
    other: JOB.test(other) ? other : null,
  };
}

/** Puts the job that is compared with into the address; null for none. */
export function setOther(other) {
  const { job, frame } = read();
  const parts = [`job=${job}`, frame && `frame=${frame}`, other && `with=${other}`];
  history.replaceState(null, "", `${location.pathname}#${parts.filter(Boolean).join("&")}`);
}

// The videos that were uploaded with this browser, kept across pages: {id, name, state, progress, error, until}.
// `state` is that of the job, or `expired`; `until` is when its results are deleted, in ms, once it has ended.

const KEY = "bodyscript.videos";
/** The oldest are forgotten beyond this number. */
const VIDEOS_MAX = 50;

const changes = new EventTarget();
// Another tab has changed the list.
window.addEventListener("storage", ({ key }) => key === KEY && changes.dispatchEvent(new Event("change")));

/** Used from the first change on that the browser does not keep, or null. */
let unsaved = null;

function load() {
  if (unsaved) return unsaved;
  try {
    const kept = JSON.parse(localStorage.getItem(KEY));
    return Array.isArray(kept) ? kept.filter((video) => typeof video?.id === "string") : [];
  } catch {
    return [];
  }
}

function save(videos) {
  const latest = videos.slice(0, VIDEOS_MAX);
  try {
    localStorage.setItem(KEY, JSON.stringify(latest));
    unsaved = null;
  } catch {
    // Without storage, or where it is full, the list lasts as long as the page.
    unsaved = latest;
  }
  changes.dispatchEvent(new Event("change"));
}

/** All videos, the latest first. */
export function all() {
  const isOver = ({ until }) => until && until < Date.now();
  return load().map((video) => (isOver(video) ? { ...video, state: "expired" } : video));
}

export const hasEnded = ({ state }) => !["pending", "processing"].includes(state);

/** Adds a job that has just been accepted. */
export const add = (id, name) =>
  save([{ id, name, state: "pending" }, ...load().filter((video) => video.id !== id)]);

/** Takes over the status of a job, if it is in the list. */
export function update(status, { result_ttl_s: kept }) {
  const end = Date.parse(status.completed_at);
  set(status.job_id, {
    state: status.status,
    progress: status.progress,
    error: status.error ?? undefined,
    until: end && kept ? end + kept * 1000 : undefined,
  });
}

/** The service has the job no longer. */
export const expire = (id) => set(id, { state: "expired" });

function set(id, facts) {
  const videos = load();
  const video = videos.find((other) => other.id === id);
  if (!video) return;
  const before = JSON.stringify(video);
  Object.assign(video, facts);
  if (JSON.stringify(video) !== before) save(videos);
}

export const remove = (id) => save(load().filter((video) => video.id !== id));

/** Calls the function at each change, also of another tab. */
export const onChange = (changed) => changes.addEventListener("change", changed);

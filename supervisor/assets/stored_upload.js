// The unfinished upload of this tab, kept across a reload. The file itself cannot be kept: the user
// selects it again, and its fingerprint shows whether it is the same.

const KEY = "bodyscript.unfinished";

/** Returns {id, name, size, mark, fields} of the unfinished upload, or null. */
export function recall() {
  try {
    return JSON.parse(sessionStorage.getItem(KEY));
  } catch {
    return null;
  }
}

export function remember(upload) {
  try {
    sessionStorage.setItem(KEY, JSON.stringify(upload));
  } catch {
    // Without storage an upload cannot be resumed after a reload.
  }
}

export function forget() {
  try {
    sessionStorage.removeItem(KEY);
  } catch {
    // Without storage there is nothing to remove.
  }
}

// The upload this tab is busy with, kept over a reload of the page. The file itself is not: a page
// may not open it again, so it is known by its mark when it is chosen again.

const KEY = "bodyscript.unfinished";

/** Gives {id, name, size, mark, fields} of what was begun, or nothing. */
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
    // Without storage a reload begins anew.
  }
}

export function forget() {
  try {
    sessionStorage.removeItem(KEY);
  } catch {
    // Then nothing was kept either.
  }
}

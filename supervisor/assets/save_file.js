// Saves what this page has made as a file.

/** How long a browser may take to begin to save a file, in milliseconds. */
const SAVE_MS = 40_000;

export function saveFile(name, blob) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), SAVE_MS);
}

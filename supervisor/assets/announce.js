// Announces changes to screen readers. The same text is not announced twice in a row.

export function announce(text) {
  const live = document.getElementById("live");
  if (live.textContent !== text) live.textContent = text;
}

// Tells people who do not see the page; not more often than they can listen.

export function announce(text) {
  const live = document.getElementById("live");
  if (live.textContent !== text) live.textContent = text;
}

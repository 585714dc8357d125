// The keys of the player. They do nothing while a form field has the focus, or where a key has a meaning already.

const FIELDS = "input:not([type=range], [type=checkbox]), select, textarea, [contenteditable]";
/** Space activates these. */
const BUTTONS = "button, summary, a[href], [type=checkbox]";
/** The other keys move these. */
const RANGES = "[type=range]";

/** Calls one of `actions` (toggle, step, first, last) for a key, while `isOpen` gives true. */
export function listenToKeys(isOpen, actions) {
  const moves = {
    ArrowLeft: () => actions.step(-1),
    ArrowRight: () => actions.step(1),
    Home: actions.first,
    End: actions.last,
  };
  document.addEventListener("keydown", (event) => {
    const { key, target } = event;
    const isOther = event.defaultPrevented || event.altKey || event.ctrlKey || event.metaKey || event.shiftKey;
    if (isOther || !isOpen() || target.closest(FIELDS)) return;
    if (key === " " && !target.closest(BUTTONS)) {
      event.preventDefault();
      if (!event.repeat) actions.toggle();
    } else if (Object.hasOwn(moves, key) && !target.closest(RANGES)) {
      event.preventDefault();
      moves[key]();
    }
  });
}

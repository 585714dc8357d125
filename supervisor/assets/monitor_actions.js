// What operators do to jobs on the monitor: cancel one, after a question, and retry one that failed.

import { ask } from "./api.js";
import { make } from "./make.js";

const element = (id) => document.getElementById(id);

const ACTIONS = {
  cancel: { path: "/api/cancel/", done: "was cancelled." },
  retry: { path: "/api/retry/", done: "is queued again." },
};

/** A link to the page of a job; the listener for operators serves it as well. */
export function jobLink({ job_id: id, filename }) {
  const link = make("a", "", filename);
  link.href = `/#job=${id}`;
  return link;
}

/** A button for an action on a job. */
export function actionButton(action, { job_id: id, filename }) {
  const name = action === "cancel" ? "Cancel" : "Retry";
  const button = make("button", "button quiet", name, make("span", "sr", ` ${filename}`));
  button.type = "button";
  Object.assign(button.dataset, { action, job: id, filename });
  return button;
}

/** Resolves to whether the operator confirms the end of a job. */
function confirmed(filename) {
  const dialog = element("confirm");
  element("confirm-name").textContent = filename;
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "cancel"), { once: true });
  });
}

function tell(text, isError) {
  const place = element("action-result");
  place.classList.toggle("failed", isError);
  place.hidden = false;
  element("action-text").textContent = text;
}

async function act(button, token) {
  const { action, job, filename } = button.dataset;
  const { path, done } = ACTIONS[action];
  // Not disabled before: the dialog returns the focus to the button.
  if (action === "cancel" && !await confirmed(filename)) return;
  button.disabled = true;
  const headers = token ? { authorization: `Bearer ${token}` } : {};
  try {
    await ask(path + job, { method: "POST", headers });
    tell(`${filename} ${done}`, false);
  } catch (problem) {
    tell(`${filename}: ${problem.message}`, true);
  }
  button.disabled = false;
}

/** Responds to the buttons; `tokenOf` gives the token that the operator entered, if any. */
export function listen(tokenOf) {
  element("main").addEventListener("click", ({ target }) => {
    const button = target.closest("button[data-action]");
    if (button) act(button, tokenOf());
  });
  element("action-close").addEventListener("click", () => { element("action-result").hidden = true; });
}

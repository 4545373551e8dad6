/** The keys of the whole page; those of single elements are their own. */

import { isOpen } from "../queue.js";
import { isOn, keep } from "../storage.js";

const TYPED =
  "input:not([type=checkbox], [type=radio], [type=color], [type=range]), select, textarea";

/** Does what a key stands for. */
export function shortcut(event, app) {
  const isTyping = event.target.closest?.(TYPED);
  if (event.defaultPrevented || document.querySelector("dialog[open]") || event.isComposing) return;
  const act = event.ctrlKey || event.metaKey ? CONTROL[event.key.toLowerCase()] : plain(event);
  if (!act || (isTyping && event.key !== "Enter")) return;
  if (act(app, event) !== false) event.preventDefault();
}

const SINGLE = "sakuga-no-single-keys";

/** Whether single letters and digits are keys: who speaks to the machine may not want that. */
export const singleKeys = {
  get: () => !isOn(SINGLE),
  set: (isOn) => keep(SINGLE, !isOn),
};

function plain(event) {
  if (event.altKey || (event.key.length === 1 && !singleKeys.get())) return null;
  return PLAIN[event.key] ?? PLAIN[event.key.toLowerCase()];
}

const CONTROL = {
  o: (app) => app.chooseFiles(),
  enter: (app) => {
    const { activeElement } = document;
    activeElement.blur(); // so that what is being typed counts
    activeElement.focus();
    app.querySelector("run-panel").start();
  },
  z: (app, event) => {
    const { drawing, isDrawing } = app.session;
    if (!drawing || !isDrawing) return false;
    if (event.shiftKey) drawing.redo();
    else drawing.undo();
  },
  y: (app) => (app.session.isDrawing ? app.session.drawing.redo() : false),
};

const PLAIN = {
  "?": (app) => app.help(),
  Escape: (app) => {
    const { picture, queue } = app.session;
    if (!picture || !isOpen(picture)) return false;
    queue.cancel(picture);
  },
  "+": (app) => app.viewer?.step(1),
  "=": (app) => app.viewer?.step(1),
  "-": (app) => app.viewer?.step(-1),
  0: (app) => app.viewer?.fit(),
  9: (app) => app.viewer?.zoomTo(1),
  "[": (app) => app.viewer?.slideTo(app.viewer.split - 0.05),
  "]": (app) => app.viewer?.slideTo(app.viewer.split + 0.05),
  n: (app) => step(app, 1),
  p: (app) => step(app, -1),
  d: (app) => app.session.toggleDrawing(),
  b: (app) => shape(app, "brush"),
  l: (app) => shape(app, "lasso"),
  s: (app) => app.querySelector("run-panel").download(),
  c: (app) => app.querySelector("run-panel").copy(),
  delete: (app, { repeat }) => {
    if (app.session.picture && !repeat) app.session.remove(app.session.picture);
  },
  ...Object.fromEntries([1, 2, 3, 4].map((number) => [number, (app) => action(app, number)])),
};

function step(app, by) {
  const { session } = app;
  const next = session.queue.pictures[session.queue.pictures.indexOf(session.picture) + by];
  if (next) session.show(next);
}

function shape(app, name) {
  const { drawing, isDrawing } = app.session;
  if (!drawing || !isDrawing) return false;
  drawing.shape = name;
  app.session.changed();
}

function action(app, number) {
  const chosen = app.session.actions[number - 1];
  if (chosen) app.session.choose(chosen.name);
}

/** How fast this gateway has been, by action and network; what is foreseen follows from it. */

import { isObject, keep, load } from "./storage.js";

const STORE = "sakuga-speed";
const WEIGHT = 0.4; // of the newest picture

const isKnown = (value) => isObject(value) && Object.values(value).every(Number.isFinite);
const known = () => load(STORE, isKnown) ?? {};

const place = (action, model, matting) =>
  [action, model, matting ? "matting" : ""].join(" ").trim();

/** Keeps the seconds that a megapixel of a picture, or of a frame, took. */
export function learn(picture, report) {
  const { width, height } = report.input;
  const pixels = width * height * (report.frames ?? 1);
  const took = (1000 * report.milliseconds?.total) / pixels;
  if (!Number.isFinite(took)) return;
  const all = known();
  const name = place(picture.action, report.model, report.milliseconds.matting);
  all[name] = name in all ? WEIGHT * took + (1 - WEIGHT) * all[name] : took;
  keep(STORE, all);
}

/** Seconds that a picture is going to take; null, while nothing like it was worked on. */
export function foreseen(action, model, values, { width, height, frames }) {
  const matting = values.alpha_matting ?? action.options.properties.alpha_matting?.default;
  const rate = known()[place(action.name, model, matting)];
  return rate && width ? (rate * width * height * (frames ?? 1)) / 1e6 : null;
}

/** Seconds that a picture in work has left; null, while that can't be told. */
export function left({ progress, since }) {
  if (!progress?.total || !progress.done || !since) return null;
  return ((Date.now() - since) / 1000) * (progress.total / progress.done - 1);
}

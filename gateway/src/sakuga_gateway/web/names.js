/** Names of files. */

import { text } from "./text.js";

/** A name that is safe to show and to type: control characters and changes of direction go. */
export const clean = (name) =>
  name.replace(/[\p{Cc}\p{Zl}\p{Zp}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]/gu, "");

/** The name of a file without its suffix, and the suffix with its dot. */
export function divided(name) {
  const [, stem, suffix = ""] = /^(.*?)(\.\w+)?$/su.exec(name);
  return { stem, suffix };
}

/** What a result is called: after its picture, and after what was done to it, so that it never takes
 * the place of the picture. */
export function resultName({ result, done }) {
  const { stem, suffix } = divided(result.name);
  return `${stem}-${text.action(done.action).done}${suffix}`;
}

/** As crypto.randomUUID, which browsers have in secure contexts alone. */
export function newId() {
  if (crypto.randomUUID) return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/(.{8})(.{4})(.{4})(.{4})(.{12})/, "$1-$2-$3-$4-$5");
}

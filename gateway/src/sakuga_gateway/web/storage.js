/** What this browser remembers between visits: small values in localStorage. A browser may refuse, be
 * full, or hold something else; then what was remembered is missing, and nothing else happens.
 */

/** A value, if there is one of the kind that is wanted. */
export function load(name, isWanted) {
  try {
    const value = JSON.parse(localStorage.getItem(name));
    return isWanted(value) ? value : null;
  } catch {
    return null;
  }
}

export function keep(name, value) {
  try {
    localStorage.setItem(name, JSON.stringify(value));
  } catch {
    // It is forgotten with the page.
  }
}

/** Whether a switch was on. */
export const isOn = (name) => load(name, (value) => value === true) ?? false;

export const isObject = (value) =>
  value !== null && typeof value === "object" && !Array.isArray(value);

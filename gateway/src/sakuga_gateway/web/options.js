/** The options of an action as its JSON Schema has them, and what is made of them. */

/** Options that are set by brush, not by a control. */
const DRAWN = ["mask", "regions"];
/** What is shown first of each action; the rest is under More. */
const FIRST = {
  upscale: ["model", "scale", "denoise_level", "format"],
  enhance: ["model", "scale", "format"],
  rembg: ["model", "alpha_matting", "background_color", "format"],
  fix_artifacts: ["model", "scale", "detector", "restore", "inpaint", "format"],
};

/** {name, kind, allowed, least, most, isWhole, fallback, description, isFirst} of each option. */
export function described(action) {
  const first = FIRST[action.name] ?? [];
  const rank = ({ name }) => (first.includes(name) ? first.indexOf(name) : first.length);
  return Object.entries(action.options.properties)
    .filter(([name]) => !DRAWN.includes(name))
    .map(([name, schema]) => ({ ...one(name, schema), isFirst: first.includes(name) }))
    .sort((a, b) => rank(a) - rank(b));
}

function one(name, schema) {
  const type = (schema.anyOf ?? [schema]).find((each) => each.type !== "null");
  const common = { name, fallback: schema.default ?? null, description: schema.description ?? "" };
  if (name === "model") return { ...common, kind: "model" };
  if (type.enum) return { ...common, kind: "choice", allowed: type.enum };
  if (Array.isArray(type.type)) return { ...common, kind: "colour" };
  if (type.type === "boolean") return { ...common, kind: "switch", isOpen: Boolean(schema.anyOf) };
  if (type.type === "string") return { ...common, kind: "text" };
  const least = type.minimum ?? type.exclusiveMinimum ?? null;
  const isWhole = type.type === "integer";
  return { ...common, kind: "number", least, most: type.maximum ?? null, isWhole };
}

/** The values that differ from what the server would take anyway. */
export function set(values) {
  const given = Object.entries(values).filter(([, value]) => value != null && value !== "");
  return Object.fromEntries(given);
}

/** Whether a request had the settings that are asked for now, apart from what was drawn or ticked. */
export function isSame({ mask, regions, ...given }, asked) {
  // Where regions were ticked, nothing was looked for.
  const own = regions ? { ...given, detector: asked.detector } : given;
  const plain = (values) => JSON.stringify(Object.entries(set(values)).sort());
  return plain(own) === plain(asked);
}

/** Width and height of a result. */
export function resultSize(action, values, model, width, height) {
  if (!action.results.includes("upscaled")) return [width, height];
  if ((values.result ?? "upscaled") !== "upscaled") return [width, height];
  const factor = factorOf(values, width, height) ?? defaultScale(action, model) ?? 1;
  return [Math.round(width * factor), Math.round(height * factor)];
}

/** How many times larger a result is where nothing says so. */
export const defaultScale = (action, model) =>
  model?.default_scales?.[action.name] ?? action.options.properties.scale?.default ?? model?.scale;

/** How many times larger a result is, where the values say so. */
function factorOf({ scale, width: w, height: h, max_side, megapixels }, width, height) {
  if (scale) return Number(scale);
  if (max_side) return max_side / Math.max(width, height);
  if (megapixels) return Math.sqrt((megapixels * 1e6) / (width * height));
  if (w || h) return Math.min(w ? w / width : Infinity, h ? h / height : Infinity);
  return null;
}

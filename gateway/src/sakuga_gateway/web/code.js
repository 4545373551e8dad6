/** The same request as curl's line and as Python. */

import { key } from "./api.js";
import { clean, divided } from "./names.js";
import { text } from "./text.js";

const bash = (value) => `'${String(value).replaceAll("'", "'\\''")}'`;
const isPlain = (value) => /^[\w./:@=+-][\w./:@#,=+-]*$/.test(value);
const word = (value) => (isPlain(value) ? String(value) : bash(value));

const isFile = (value) => value instanceof Blob;

const sent = (value) => (typeof value === "object" ? JSON.stringify(value) : String(value));

const field = ([option, value]) =>
  isFile(value) ? `-F ${option}=@${option}.png` : `-F ${word(`${option}=${sent(value)}`)}`;

function fileFor(action, options, { name, frames }) {
  const { stem, suffix } = divided(clean(name));
  const format = options.format ?? (frames > 1 ? "auto" : "png");
  const own = format === "auto" ? suffix || ".png" : `.${format}`;
  return `${stem || "picture"}-${text.action(action.name).done}${own}`;
}

/** One line for a shell. */
export function curl(action, options, picture) {
  const { name } = picture;
  const quoted = clean(name).replaceAll(/["\\]/g, "\\$&");
  // curl takes commas and semicolons in a file's name for its own, unless they are quoted.
  const isOwn = /^[\w.][\w./+-]*$/.test(clean(name));
  const image = isOwn ? `image=@${clean(name)}` : bash(`image=@"${quoted}"`);
  return [
    "curl",
    ...(key.get() ? ['-H "X-Api-Key: $SAKUGA_KEY"'] : []),
    `-F ${image}`,
    ...Object.entries(options).map(field),
    `${location.origin}${action.path}`,
    `-o ${word(fileFor(action, options, picture))}`,
  ].join(" ");
}

/** Lines of Python with the client package. */
export function python(action, options, picture) {
  const given = Object.entries(options).map(([option, value]) =>
    isFile(value) ? `${option}="${option}.png"` : `${option}=${literal(value)}`,
  );
  const address = key.get() ? `${literal(location.origin)}, key=KEY` : literal(location.origin);
  const call = [literal(clean(picture.name)), ...given].join(", ");
  return [
    "import sakuga",
    "",
    `with sakuga.connect_sync(${address}) as images:`,
    `    reply = images.${action.name}(${call})`,
    `    reply.save(${literal(fileFor(action, options, picture))})`,
  ].join("\n");
}

/** A value as Python writes it. */
function literal(value) {
  if (value === null) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (Array.isArray(value)) return `[${value.map(literal).join(", ")}]`;
  if (typeof value !== "object") return JSON.stringify(value);
  const items = Object.entries(value).map(([name, each]) => `${literal(name)}: ${literal(each)}`);
  return `{${items.join(", ")}}`;
}

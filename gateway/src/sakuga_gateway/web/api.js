/** Calls of the gateway: the only module that fetches. */

import { keep, load } from "./storage.js";
import { text } from "./text.js";

const KEY = "sakuga-key";
const SENDABLE = /^[!-~]*$/; // what a header takes
const RESULT = /^\/v1\/jobs\/[0-9a-f-]{36}$/;

/** What went wrong, as the gateway says it (RFC 9457), or that it didn't answer. */
export class Problem extends Error {
  /**
   * @param {number} status of HTTP; 0: there was no answer.
   * @param {string} kind the error's class in Python.
   * @param {string} detail what is wrong, and what is allowed.
   * @param {number} wait seconds after which the call is worth repeating; 0: it isn't.
   */
  constructor(status, kind, detail, wait = 0) {
    super(detail);
    Object.assign(this, { status, kind, wait });
  }
}

/** The key that calls bring; kept in this browser. */
export const key = {
  get: () => load(KEY, (value) => SENDABLE.test(value)) ?? "",
  set: (value) => keep(KEY, value),
};

/** @fires locked when the gateway wants a key, or another one. */
export const gateway = new EventTarget();

/** Calls the gateway; gives its answer, or throws a Problem. */
async function call(path, options = {}) {
  const headers = { ...options.headers, ...(key.get() && { "X-Api-Key": key.get() }) };
  let answer;
  try {
    answer = await fetch(path, { ...options, headers });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, "ServerUnavailable", text.errors.unreachable, 2);
  }
  if (answer.status === 401) gateway.dispatchEvent(new Event("locked"));
  if (!answer.ok) throw await problem(answer);
  return answer;
}

async function problem(answer) {
  const again = Number(answer.headers.get("Retry-After")) || 0;
  const wait = [401, 429, 503].includes(answer.status) ? again || 2 : 0;
  const about = await answer.json().catch(() => ({}));
  const detail = about.detail ?? text.errors.status(answer.status);
  return new Problem(answer.status, about.error ?? "ServerError", detail, wait);
}

const json = async (path, options) => (await call(path, options)).json();

/** Every action, with the JSON Schema of its options. */
export const actions = async () => (await json("/v1/actions")).actions;

/** The networks that are installed. */
export const models = async () =>
  (await json("/v1/models")).models.filter((model) => model.installed);

function form(file, name, options) {
  const entries = Object.entries(options);
  const texts = entries.filter(([, value]) => !(value instanceof Blob));
  const body = new FormData();
  body.append("options", JSON.stringify(Object.fromEntries(texts)));
  body.append("image", file, name || "picture");
  for (const [option, value] of entries) {
    if (value instanceof Blob) body.append(option, value, `${option}.png`);
  }
  return body;
}

/** Works on a picture while one waits; gives the result and its report. */
export async function process(path, file, name, options, signal) {
  const body = form(file, name, options);
  const answer = await call(path, { method: "POST", body, signal });
  const report = answer.headers.get("Sakuga-Report");
  return { file: await answer.blob(), report: report && JSON.parse(report) };
}

/** Submits a picture as a job; gives the path of the job. The same `again`, if any, gives the same
 * job. */
export async function submit(action, file, name, options, again) {
  const body = form(file, name, options);
  body.append("action", action);
  const headers = again ? { "Idempotency-Key": again } : {};
  const answer = await call("/v1/jobs", { method: "POST", body, headers });
  return (await answer.json()).links.self;
}

/** Works on a picture by a job, and waits for it; gives its report. */
export async function reported(action, file, name, options, signal) {
  const path = await submit(action, file, name, options);
  signal.addEventListener("abort", () => cancel(path).catch(() => {}));
  if (signal.aborted) cancel(path).catch(() => {});
  signal.throwIfAborted();
  for await (const _ of events(path, 0, signal));
  const [{ error, report }] = (await job(path)).pictures;
  await cancel(path).catch(() => {}); // it isn't needed any more
  if (error) throw new Problem(error.status ?? 422, error.error, error.detail);
  return report;
}

/** The state of a job. */
export const job = (path) => json(checked(path));

/** Cancels a job, or removes it once it has finished. */
export const cancel = (path) => json(checked(path), { method: "DELETE" });

/** The result of a job with one picture, as a file. */
export const result = async (path) => (await call(`${checked(path)}/result`)).blob();

/** The events of a job after one of them, until it has finished: `{id, type, data}`. */
export async function* events(path, after, signal) {
  const headers = { "Last-Event-ID": String(after) };
  const answer = await call(`${checked(path)}/events`, { headers, signal });
  for await (const block of blocks(answer.body)) {
    const fields = Object.fromEntries(block.split(/\r?\n/).map(field));
    if (fields.event) {
      yield { id: Number(fields.id), type: fields.event, data: JSON.parse(fields.data) };
    }
  }
}

const field = (line) => {
  const colon = line.indexOf(":");
  return [line.slice(0, colon), line.slice(colon + 1).trimStart()];
};

/** Server-sent events, of which an empty line ends each. */
async function* blocks(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const parts = (rest + value).split(/\r?\n\r?\n/);
      rest = parts.pop();
      yield* parts;
    }
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, "ServerUnavailable", text.errors.unreachable, 1);
  }
}

/** A job's path, which was stored; whatever else stands there isn't asked for. */
function checked(path) {
  if (!RESULT.test(path)) throw new Problem(404, "BadInput", text.errors.expired);
  return path;
}

/** A sample picture that the gateway has. */
export const sample = async (name) => (await call(`/web/samples/${name}`)).blob();

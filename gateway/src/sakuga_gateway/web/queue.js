/** The queue of pictures: which wait, which are in work, and what became of them.
 *
 * A picture: {id, order, file, name, folder, width, height, thumbnail, state, action, options, job,
 * again, seen, place, progress, since, problem, note, result, done, isSeen}. `job` is the one in
 * work, `done` that of the result: {job, action}. Its work is a job of the gateway, so it goes
 * on while the page is reloaded; the picture itself is on the shelf.
 */

import * as api from "./api.js";
import * as shelf from "./shelf.js";
import * as speed from "./speed.js";
import { isOn, keep } from "./storage.js";
import { newId } from "./names.js";
import { preview } from "./preview.js";

/** Jobs at once: a browser opens six connections to a host for all tabs, and the events of each job
 * take one. */
const AT_ONCE = 2;
const ACTIVE = ["sending", "queued", "running"];
const PAUSED = "sakuga-paused";
/** Seconds between two calls of a gateway that doesn't answer, at most. */
const LONGEST_WAIT = 15;

export const isActive = (picture) => ACTIVE.includes(picture.state);
/** Whether it waits for work, or is in work. */
export const isOpen = (picture) => isActive(picture) || picture.state === "waiting";

const seconds = (count) => new Promise((resolve) => setTimeout(resolve, 1000 * count));

/** @fires change; done when there is a result; unkept when a picture can't be put on the shelf. */
export class Queue extends EventTarget {
  pictures = [];
  isPaused = isOn(PAUSED);
  /** Whether the gateway didn't answer when it was last called. */
  isAway = false;

  #following = new Map(); // AbortControllers, by the id of the picture
  #opening = null;

  /** Takes the pictures from the shelf, and follows those in work. */
  open() {
    this.#opening ??= this.#open();
    return this.#opening;
  }

  async #open() {
    this.pictures = await shelf.all();
    for (const picture of this.pictures) {
      if (isActive(picture)) this.#work(picture);
    }
    this.#next();
    this.#changed();
    this.#look(this.pictures.filter(({ isSeen }) => !isSeen));
    shelf.followed((id, facts) => this.#changedElsewhere(id, facts));
    addEventListener("storage", ({ key }) => key === PAUSED && this.#pausedElsewhere());
  }

  /** Takes over what another tab did to a picture.
   *
   * @param facts what it told of work that goes on; else all of it is on the shelf.
   */
  async #changedElsewhere(id, facts) {
    const kept = facts ?? (await shelf.one(id));
    const own = this.pictures.find((each) => each.id === id);
    if (!kept) this.#forget(id);
    else if (own) Object.assign(own, kept);
    else if (!facts) this.pictures.push(kept);
    this.pictures.sort((a, b) => a.order - b.order);
    this.#changed();
  }

  #pausedElsewhere() {
    this.isPaused = isOn(PAUSED);
    this.#next();
    this.#changed();
  }

  #forget(id) {
    this.#following.get(id)?.abort();
    this.pictures = this.pictures.filter((each) => each.id !== id);
  }

  /** Adds pictures: {file, name, folder}; gives them. */
  async add(files) {
    await this.#opening?.catch(() => {});
    const last = this.pictures.at(-1)?.order ?? 0;
    const added = files.map((each, index) => ({
      id: newId(),
      order: last + index + 1,
      state: "new",
      folder: "",
      ...each,
    }));
    this.pictures.push(...added);
    this.#changed();
    this.#keepAll(added);
    return added;
  }

  async #keepAll(pictures) {
    for (const picture of pictures) {
      if (!this.pictures.includes(picture)) continue; // it has been removed meanwhile
      try {
        picture.file = await shelf.add(picture);
      } catch {
        this.dispatchEvent(new Event("unkept")); // the browser has no room, or keeps nothing
      }
    }
    await this.#look(pictures);
  }

  /** Starts work on pictures, in the order of the queue. */
  async start(pictures, action, options) {
    for (const picture of pictures.filter((each) => !isOpen(each))) {
      Object.assign(picture, { action, options, ...FRESH, state: "waiting", again: newId() });
      await this.#shelve(picture);
    }
    this.#next();
    this.#changed();
  }

  retry(picture) {
    return this.start([picture], picture.action, picture.options);
  }

  /** Ends the work on a picture, in the server, too. */
  async cancel(picture) {
    const { job } = picture;
    this.#following.get(picture.id)?.abort();
    if (job) end(job);
    await this.#ended(picture, { state: "cancelled" });
  }

  /** Takes a picture out of the queue, and ends what is in work of it. */
  remove(picture) {
    return this.#remove([picture]);
  }

  clear() {
    return this.#remove(this.pictures);
  }

  async #remove(pictures) {
    this.pictures = this.pictures.filter((each) => !pictures.includes(each)); // none begins now
    for (const picture of pictures) {
      this.#following.get(picture.id)?.abort();
      if (isActive(picture) && picture.job) end(picture.job);
      letGo(picture);
    }
    this.#changed();
    await Promise.all(pictures.map(({ id }) => shelf.remove(id).catch(() => {})));
  }

  /** The result of a picture as a file; null, where it isn't kept any more. */
  async result(picture) {
    for (;;) {
      const { done } = picture;
      try {
        return await api.result(done.job);
      } catch (error) {
        if (picture.done !== done) continue; // it has been run again meanwhile
        if (!error.wait) return null;
        await seconds(error.wait);
      }
    }
  }

  /** Moves a picture by places of the queue. */
  async move(picture, by) {
    const from = this.pictures.indexOf(picture);
    const to = Math.min(this.pictures.length - 1, Math.max(0, from + by));
    this.pictures.splice(to, 0, ...this.pictures.splice(from, 1));
    this.pictures.forEach((each, index) => (each.order = index + 1));
    this.#changed();
    for (const { id, order } of this.pictures) await shelf.place(id, order).catch(() => {});
  }

  /** No further picture begins while it is paused. */
  pause(isPaused) {
    this.isPaused = isPaused;
    keep(PAUSED, isPaused);
    this.#next();
    this.#changed();
  }

  #next() {
    let free = AT_ONCE - this.#following.size;
    for (const picture of this.pictures) {
      if (this.isPaused || free <= 0) return;
      if (picture.state !== "waiting") continue;
      free -= 1;
      this.#work(picture);
    }
  }

  /** Has a picture worked on, from wherever that had got to; by one tab alone. */
  async #work(picture) {
    const controller = new AbortController();
    this.#following.set(picture.id, controller);
    try {
      await alone(picture.id, controller.signal, () => this.#worked(picture, controller.signal));
    } catch (error) {
      if (error.name !== "AbortError") await this.#failed(picture, error);
    } finally {
      if (this.#following.get(picture.id) === controller) this.#following.delete(picture.id);
      if (!this.#following.size) this.isAway = false;
      this.#next();
      this.#changed();
    }
  }

  async #worked(picture, signal) {
    if (!isOpen(picture)) return; // another tab has done it
    if (!picture.job) await this.#send(picture, signal);
    await this.#follow(picture, signal);
  }

  async #send(picture, signal) {
    const { action, file, name, options, again } = picture;
    picture.state = "sending";
    this.#changed();
    // The same job, if the answer gets lost.
    const submit = () => api.submit(action, file, name, options, again);
    const job = await this.#patiently(picture, submit, signal);
    if (signal.aborted) {
      end(job);
      throw new DOMException("cancelled", "AbortError");
    }
    Object.assign(picture, { job, state: "queued", seen: 0 });
    await this.#shelve(picture);
  }

  async #follow(picture, signal) {
    const follow = async () => {
      for await (const event of api.events(picture.job, picture.seen, signal)) {
        this.isAway = false;
        picture.seen = event.id;
        TOLD[event.type]?.(picture, event.data);
        const { id, state, place, progress, since } = picture;
        shelf.tell(id, { state, place, progress, since });
        this.#changed();
      }
    };
    await this.#patiently(picture, follow, signal);
    const job = await this.#patiently(picture, () => api.job(picture.job), signal);
    signal.throwIfAborted();
    if (!job.finished) return this.#follow(picture, signal);
    const { state, error, result, report } = job.pictures[0];
    const problem = error && { kind: error.error, detail: error.detail };
    if (!result) return this.#ended(picture, { state, problem });
    speed.learn(picture, report);
    const before = { ...picture };
    const done = { job: picture.job, action: picture.action };
    await this.#ended(picture, { state, done, result: { ...result, report } });
    letGo(before);
    this.dispatchEvent(new Event("done"));
  }

  /** What a call gives, which is repeated while the gateway is away or busy, or wants a key. */
  async #patiently(picture, call, signal) {
    for (let pause = 1; ; pause = Math.min(LONGEST_WAIT, 2 * pause)) {
      try {
        const given = await call();
        picture.note = null;
        this.isAway = false;
        return given;
      } catch (error) {
        signal.throwIfAborted();
        if (!error.wait) throw error;
        this.isAway = error.status === 0;
        picture.note = error.status === 0 ? null : error.message;
        this.#changed();
        await seconds(Math.max(pause, error.wait));
        signal.throwIfAborted();
      }
    }
  }

  async #failed(picture, error) {
    const problem = { kind: error.kind ?? error.name, detail: error.message };
    await this.#ended(picture, { state: "failed", problem });
  }

  async #ended(picture, facts) {
    Object.assign(picture, { ...FRESH, job: picture.job, ...facts });
    await this.#shelve(picture);
    this.#changed();
  }

  /** Adds sizes and thumbnails, one picture after the other. */
  async #look(pictures) {
    for (const picture of pictures) {
      Object.assign(picture, await preview(picture.file), { isSeen: true });
      this.#changed();
      await this.#shelve(picture);
    }
  }

  async #shelve(picture) {
    if (!this.pictures.includes(picture)) return;
    await shelf.put(picture).catch(() => this.dispatchEvent(new Event("unkept")));
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
  }
}

/** Has the gateway remove a result that nobody is going to ask for. */
function letGo({ done }) {
  if (done) end(done.job);
}

/** Has the gateway end a job, or remove it; asks again while it is away. */
async function end(job) {
  for (;;) {
    try {
      return await api.cancel(job);
    } catch (error) {
      if (!error.wait) return null;
      await seconds(error.wait);
    }
  }
}

/** Does something for a picture while no other tab does; waits for those that do. */
function alone(id, signal, act) {
  // Pages that aren't from a secure context have no locks; the gateway then knows it for one job.
  return navigator.locks ? navigator.locks.request(`sakuga ${id}`, { signal }, act) : act();
}

/** What a picture has before it is worked on; an earlier result stays until there is another. */
const FRESH = {
  job: null,
  seen: 0,
  place: null,
  progress: null,
  since: null,
  problem: null,
  note: null,
};

/** What the events of a job change in its picture. */
const TOLD = {
  queued: (picture, { place }) => Object.assign(picture, { state: "queued", place }),
  started: (picture) =>
    Object.assign(picture, { state: "running", place: null, since: Date.now() }),
  progress: (picture, progress) => Object.assign(picture, { state: "running", progress }),
};

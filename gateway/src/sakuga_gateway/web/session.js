/** What the page works with, apart from how it looks: actions, networks, settings, the queue, and the
 * picture that is shown.
 */

import * as api from "./api.js";
import { Drawing, MASKS } from "./drawing.js";
import { clean, resultName } from "./names.js";
import * as options from "./options.js";
import { Queue, isOpen } from "./queue.js";
import { isObject, keep, load } from "./storage.js";
import { text } from "./text.js";

const SETTINGS = "sakuga-settings";
const AGAIN = 3000; // milliseconds until the gateway is asked again

/** @fires change whenever anything did. */
export class Session extends EventTarget {
  actions = [];
  models = null; // until the server has told them
  settings = { action: "upscale", values: {}, ground: "checker", colour: "#2f7d5b", ...stored() };
  queue = new Queue();
  shown = { id: null, before: null, after: null };
  drawing = null;
  isDrawing = false;
  isDrawingShown = true;
  finding = null; // of damage: an AbortController
  notice = null;
  needsKey = false;
  isUnkept = false; // whether a reload would lose pictures

  #drawings = new Map(); // what was drawn, and found, by action and picture

  async open() {
    this.queue.addEventListener("change", () => this.#followed());
    this.queue.addEventListener("unkept", () => this.#unkept());
    api.gateway.addEventListener("locked", () => this.#locked());
    // What a network needs is known once it is loaded.
    this.queue.addEventListener("done", () => this.model?.memory || this.refresh());
    addEventListener("focus", () => this.refresh()); // one may have been exported
    const connected = this.connect();
    await this.queue.open().catch(() => this.#unkept());
    // Else the browser may clear the shelf when it is short of room.
    navigator.storage?.persist?.().catch(() => {});
    const { pictures } = this.queue;
    this.show(pictures.find(({ id }) => id === this.settings.shown) ?? pictures[0] ?? null);
    await connected;
  }

  #unkept() {
    this.isUnkept = true;
    this.changed();
  }

  #locked() {
    this.needsKey = true;
    this.changed();
  }

  /** Asks again which networks are installed and loaded. */
  async refresh() {
    if (!this.models) return; // they are being asked for
    this.models = await api.models().catch(() => this.models);
    this.changed();
  }

  /** Asks for actions and networks, until the gateway answers. */
  async connect() {
    try {
      this.actions = await api.actions();
      this.needsKey = false;
      this.changed(); // the server behind may take its time to start
      this.models = await api.models();
      this.notice = null;
    } catch (problem) {
      this.needsKey = problem.status === 401;
      this.notice = this.needsKey ? null : problem.message;
      if (!this.needsKey) setTimeout(() => this.connect(), AGAIN);
    }
    this.changed();
  }

  useKey(key) {
    api.key.set(key);
    return this.connect();
  }

  get action() {
    return this.actions.find(({ name }) => name === this.settings.action) ?? this.actions[0];
  }

  get values() {
    return this.settings.values[this.action?.name] ?? {};
  }

  /** The networks that the action can use. */
  get choices() {
    return (this.models ?? []).filter(({ kind }) => kind === this.action.kind);
  }

  /** The network where none is chosen: the action's, or the first one, if that isn't installed. */
  get usualModel() {
    const { action, choices } = this;
    const isInstalled = choices.some(({ name }) => name === action.model);
    return isInstalled || !choices.length ? action.model : choices[0].name;
  }

  get model() {
    const name = this.values.model ?? this.usualModel;
    return this.models?.find((model) => model.name === name);
  }

  get picture() {
    return this.queue.pictures.find(({ id }) => id === this.shown.id) ?? null;
  }

  choose(action) {
    if (action !== this.settings.action) this.isDrawingShown = true;
    this.settings.action = action;
    this.#drawAnew();
    this.#keep();
  }

  put(name, value) {
    this.take({ ...this.values, [name]: value });
  }

  take(values) {
    this.settings.values = { ...this.settings.values, [this.action.name]: options.set(values) };
    this.#keep();
  }

  setGround({ ground, colour }) {
    Object.assign(this.settings, { ground, colour });
    this.#keep();
  }

  /** Adds pictures, and shows the first of them. */
  async add(files) {
    if (!files.length) return this.say(text.errors.noPictures);
    this.notice = null;
    const added = await this.queue.add(files);
    await this.show(added[0]);
    return added;
  }

  async addSample(name) {
    try {
      await this.add([{ file: await api.sample(name), name, folder: "" }]);
    } catch (problem) {
      this.say(problem.message);
    }
  }

  say(notice) {
    this.notice = notice;
    this.changed();
  }

  /** Shows a picture, with its result if there is one. */
  async show(picture) {
    if (picture && picture.id === this.shown.id) return;
    this.#letGo();
    this.isDrawingShown = !picture?.result;
    const before = picture && URL.createObjectURL(picture.file);
    this.shown = { id: picture?.id ?? null, before, after: null, result: null, error: null };
    this.settings.shown = this.shown.id;
    this.#keep();
    this.#drawAnew();
    this.changed();
    if (picture?.result) await this.#fetch(picture);
  }

  #letGo() {
    for (const url of [this.shown.before, this.shown.after]) if (url) URL.revokeObjectURL(url);
  }

  async #fetch(picture) {
    const { shown } = this;
    shown.result = picture.result;
    try {
      const file = await api.result(picture.done.job);
      if (this.shown !== shown || shown.result !== picture.result) return;
      if (shown.after) URL.revokeObjectURL(shown.after);
      Object.assign(shown, { after: URL.createObjectURL(file), file, error: null });
    } catch (problem) {
      shown.error = problem.status === 404 ? text.result.expired : problem.message;
      if (problem.wait) this.#fetchLater(picture, shown, problem.wait);
    }
    this.changed();
  }

  #fetchLater(picture, shown, seconds) {
    const again = () => this.shown === shown && picture.result && this.#fetch(picture);
    setTimeout(again, 1000 * seconds);
  }

  #followed() {
    const { picture, shown } = this;
    if (shown.id && !picture) this.show(this.queue.pictures[0] ?? null);
    else if (picture?.result && picture.result !== shown.result) this.#fetch(picture);
    else if (picture && !this.drawing) this.#drawAnew(); // its size has just become known
    this.changed();
  }

  #drawAnew() {
    const mask = MASKS[this.settings.action];
    const { id, width, height } = this.picture ?? {};
    const name = `${this.settings.action} ${id}`;
    this.drawing = mask && width ? this.#drawn(name, mask, width, height) : null;
    this.finding?.abort();
    if (!this.drawing) this.isDrawing = false;
  }

  /** What was drawn on a picture for an action. */
  #drawn(name, mask, width, height) {
    if (!this.#drawings.has(name)) {
      const drawing = new Drawing(mask, width, height);
      drawing.addEventListener("change", () => this.changed());
      this.#drawings.set(name, drawing);
    }
    return this.#drawings.get(name);
  }

  /** The damage that was found: {region, isTicked}; null, while nobody looked. */
  get regions() {
    return this.drawing?.regions ?? null;
  }

  /** Whether something drawn would be lost with the page. */
  get isUnsaved() {
    return [...this.#drawings.values()].some((drawing) => !drawing.isEmpty);
  }

  /** Takes a picture out of the queue, and shows the one beside it. */
  async remove(picture) {
    const isAnything = picture.result || isOpen(picture);
    if (isAnything && !confirm(text.queue.sureOf(clean(picture.name)))) return;
    const { pictures } = this.queue;
    const index = pictures.indexOf(picture);
    if (picture === this.picture) this.show(pictures[index + 1] ?? pictures[index - 1] ?? null);
    for (const action of Object.keys(MASKS)) this.#drawings.delete(`${action} ${picture.id}`);
    await this.queue.remove(picture);
  }

  async clear() {
    this.#drawings.clear();
    await this.queue.clear();
  }

  /** The options of the next request for the shown picture, but for its mask. */
  get given() {
    const { regions } = this;
    if (!regions) return this.#asked;
    const ticked = regions.filter(({ isTicked }) => isTicked);
    return { ...this.#asked, detector: "none", regions: ticked.map(({ region }) => region) };
  }

  /** What is set, with the network, if it isn't the server's own choice. */
  get #asked() {
    const { action, usualModel, values } = this;
    return usualModel === action.model ? values : { model: usualModel, ...values };
  }

  /** All options of a request, with what was drawn. */
  async request() {
    const { drawing, given } = this;
    if (!drawing || drawing.isEmpty) return { ...given };
    return { ...given, [drawing.mask.option]: await drawing.file() };
  }

  /** Starts the shown picture. */
  async start() {
    const { picture } = this;
    if (picture && !isOpen(picture)) await this.#start([picture]);
  }

  /** The pictures that aren't done, or were done by another action or with other settings. */
  get startable() {
    if (!this.action) return [];
    const asked = this.#asked;
    const isDone = ({ state, action, options: given }) =>
      state === "succeeded" && action === this.action.name && options.isSame(given, asked);
    return this.queue.pictures.filter((each) => !isOpen(each) && !isDone(each));
  }

  /** Starts all that aren't done. */
  async startAll() {
    const { startable } = this;
    const replaced = startable.filter(({ result }) => result).length;
    if (replaced && !confirm(text.queue.sureAgain(replaced))) return;
    await this.#start(startable);
  }

  /** What was drawn is for the shown picture alone. */
  async #start(pictures) {
    const { picture, action } = this;
    this.isDrawing = this.isDrawingShown = false;
    this.notice = null;
    const asked = this.#asked;
    const own = pictures.includes(picture) ? await this.request() : null;
    for (const each of pictures) {
      await this.queue.start([each], action.name, each === picture ? own : { ...asked });
    }
  }

  /** The result becomes a picture of its own, for another action. */
  async sendTo(action) {
    const { file } = this.shown;
    const { folder } = this.picture;
    const name = resultName(this.picture);
    this.choose(action);
    await this.add([{ file, name, folder }]);
  }

  /** Begins to draw on the picture, or stops. */
  toggleDrawing() {
    this.isDrawing = Boolean(this.drawing) && !this.isDrawing;
    this.showDrawing(true);
  }

  /** Whether what was drawn lies on the picture, or lets the result be seen. */
  showDrawing(isShown) {
    this.isDrawingShown = isShown;
    this.changed();
  }

  /** Has the server look for damage, which can then be ticked. */
  async findDamage() {
    const { picture, drawing } = this;
    this.finding = new AbortController();
    this.notice = null;
    const { signal } = this.finding;
    this.changed();
    try {
      const asked = { ...this.#asked, result: "regions", restore: false };
      const report = await api.reported("fix_artifacts", picture.file, picture.name, asked, signal);
      if (signal.aborted) return;
      this.isDrawingShown = true;
      drawing.regions = report.regions.map((region) => ({ region, isTicked: true }));
    } catch (problem) {
      if (!signal.aborted) this.notice = problem.message;
    } finally {
      if (this.finding?.signal === signal) this.finding = null;
      this.changed();
    }
  }

  tick(entry, isTicked) {
    entry.isTicked = isTicked;
    this.changed();
  }

  #keep() {
    keep(SETTINGS, this.settings);
    this.changed();
  }

  changed() {
    this.dispatchEvent(new Event("change"));
  }
}

/** The settings of the last visit, without what isn't any. */
function stored() {
  const { values, ...rest } = load(SETTINGS, isObject) ?? {};
  const own = isObject(values) ? Object.entries(values).filter(([, each]) => isObject(each)) : [];
  return { ...rest, values: Object.fromEntries(own) };
}

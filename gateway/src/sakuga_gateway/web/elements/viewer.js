/** <picture-viewer>: a picture and its result, one over the other, behind a slider. */

import { html, nothing } from "../vendor/lit.js";
import { text } from "../text.js";
import { LARGEST, clamped, fit, within, zoomOf, zoomed } from "../view.js";
import { Element } from "./element.js";

const STEPS = [0.125, 0.25, 0.5, 1, 2, 3, 4, 6, LARGEST];
const PIXELS_FROM = 2; // zoom of a picture from which its pixels are shown as squares
const KEY_STEP = 64; // CSS pixels that an arrow key moves the picture by
/** What is known of a picture before it is loaded. */
const FRESH = { sizes: {}, size: null, view: null, isFitted: true };
export const GROUNDS = ["checker", "black", "white", "colour"];

/**
 * @prop {boolean} isMoving whether it is an animation.
 * @prop {string} before, after URLs of the two pictures; `after` may be missing.
 * @prop {object} tool draws on the picture: begin, move and end take a point in its pixels. Of one
 *   with a radius, a ring shows where it is; keys move it, too.
 * @prop {boolean} bare has no buttons.
 * @prop {object} overlay a template that lies on the picture, and scales with it.
 * @prop {{width, height}} size of the picture that zoom is told of: the result's, once it is there.
 * @fires view-change where the picture is, when a person moves it; ground-change.
 */
export class Viewer extends Element {
  static properties = {
    before: {},
    after: {},
    name: {},
    overlay: {},
    tool: { attribute: false },
    ground: {},
    colour: {},
    bare: { type: Boolean },
    size: { state: true },
    view: { state: true },
    split: { state: true },
    isBroken: { state: true },
    isMoving: { type: Boolean },
    isStill: { state: true },
    pen: { state: true },
  };

  constructor() {
    super();
    Object.assign(this, { split: 0.5, ground: "checker", colour: "#2f7d5b", isFitted: true });
    this.isStill = matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.pointers = new Map();
    this.sizes = {};
  }

  connectedCallback() {
    super.connectedCallback();
    this.watcher = new ResizeObserver(() => this.#resized());
    this.updateComplete.then(() => this.watcher.observe(this.stage));
  }

  disconnectedCallback() {
    super.disconnectedCallback();
    this.watcher.disconnect();
  }

  get stage() {
    return this.querySelector(".stage");
  }

  get room() {
    return { width: this.stage.clientWidth, height: this.stage.clientHeight };
  }

  willUpdate(changed) {
    if (changed.has("before")) Object.assign(this, FRESH);
    if (changed.has("tool")) this.#lift();
    if (changed.has("before") || changed.has("after")) this.isBroken = false;
    if (changed.has("after") && !this.after) {
      delete this.sizes.after;
      this.size = this.sizes.before ?? null;
    }
  }

  /** Ends what was being drawn with a tool that is put away. */
  #lift() {
    if (this.isStroke) this.stroke.end();
    Object.assign(this, { isStroke: false, pen: null });
  }

  /** Canvases show the first picture of an animation. */
  updated() {
    for (const canvas of this.querySelectorAll(".stage > canvas")) {
      const image = this.querySelector(`img.${canvas.className}`);
      const { width, height } = this.sizes[canvas.className];
      const isThere = image.complete && image.naturalWidth; // else it is drawn when it is loaded
      if (canvas.drawn === image.src || !isThere) continue;
      Object.assign(canvas, { width, height, drawn: image.src });
      canvas.getContext("2d").drawImage(image, 0, 0);
    }
  }

  get #stands() {
    return this.isMoving && this.isStill;
  }

  render() {
    return html`
      <div
        class="stage ground-${this.ground} ${this.tool ? "is-drawing" : ""}"
        .style=${`--colour: ${this.colour}`}
        tabindex="0"
        role="group"
        aria-label=${text.viewer.label(this.name)}
        @wheel=${this.#wheel}
        @pointerdown=${this.#down}
        @pointermove=${this.#move}
        @pointerup=${this.#up}
        @pointercancel=${this.#up}
        @keydown=${this.#key}
        @dblclick=${() => this.tool || this.fit()}
      >
        ${this.before ? this.#layer("before") : nothing}
        ${this.after ? this.#layer("after") : nothing}
        ${
          this.view && this.overlay
            ? html`<div class="overlay" .style=${this.#box()}>${this.overlay}</div>`
            : nothing
        }
        ${this.sizes.after && this.sizes.before && this.view ? this.#slider() : nothing}
        ${this.tool?.radius && this.pen ? this.#ring() : nothing}
        ${this.isBroken ? html`<p class="cannot-show">${text.viewer.cannotShow}</p>` : nothing}
      </div>
      ${this.bare ? nothing : this.#bar()}
    `;
  }

  #layer(which) {
    return html`<img
        class=${which}
        draggable="false"
        decoding="async"
        alt=${this.bare ? this.name : text.viewer[which](this.name)}
        .src=${this[which]}
        .style=${this.#stands ? "visibility: hidden" : this.#style(which)}
        @load=${(event) => this.#loaded(which, event.target)}
        @error=${() => this.#failed(which)}
      />
      ${
        this.#stands && this.sizes[which]
          ? html`<canvas class=${which} .style=${this.#style(which)}></canvas>`
          : nothing
      }`;
  }

  /** Where the tool is, and how large. */
  #ring() {
    const radius = (this.tool.radius * this.view.width) / this.#drawnSize.width;
    const { x, y } = this.#onStage(this.pen);
    const side = `width: ${2 * radius}px; height: ${2 * radius}px`;
    return html`<div
      class="ring ${this.isStroke ? "is-down" : ""}"
      .style=${`left: ${x - radius}px; top: ${y - radius}px; ${side}`}
    ></div>`;
  }

  /** Where the picture lies. */
  #box() {
    const { width, x, y } = this.view;
    const height = (width * this.size.height) / this.size.width;
    return `left: ${x}px; top: ${y}px; width: ${width}px; height: ${height}px`;
  }

  #style(which) {
    if (!this.view || !this.sizes[which]) return "visibility: hidden";
    const zoom = zoomOf(this.view, this.size, devicePixelRatio); // for both the same
    const shown = zoom >= PIXELS_FROM ? "pixelated" : "auto";
    return `${this.#box()}; image-rendering: ${shown}; ${this.#clip(which)}`;
  }

  /** Each lets the other be seen on its side of the slider, also through its transparency. */
  #clip(which) {
    if (!this.sizes.after || !this.sizes.before) return "";
    const edge = this.#edge() - this.view.x;
    const side = which === "after" ? `0 0 0 ${edge}px` : `0 ${this.view.width - edge}px 0 0`;
    return `clip-path: inset(${side})`;
  }

  /** Where the slider is on the stage: on whole pixels. */
  #edge() {
    return Math.round(this.split * this.room.width);
  }

  #slider() {
    return html`<div
      class="slider"
      role="slider"
      tabindex="0"
      aria-label=${text.viewer.slider}
      aria-valuemin="0"
      aria-valuemax="100"
      aria-valuenow=${Math.round(100 * this.split)}
      .style=${`left: ${this.#edge()}px`}
      @pointerdown=${this.#grab}
      @keydown=${this.#slide}
    >
      <span aria-hidden="true">${HANDLE}</span>
      <b class="side left" aria-hidden="true">${text.viewer.left}</b>
      <b class="side right" aria-hidden="true">${text.viewer.right}</b>
    </div>`;
  }

  #bar() {
    const zoom = this.view && zoomOf(this.view, this.size, devicePixelRatio);
    return html`<div class="viewer-bar" role="toolbar" aria-label=${text.viewer.bar}>
      <button @click=${() => this.step(-1)} aria-label=${text.viewer.out} title="−">−</button>
      <output class="zoom" aria-label=${text.viewer.zoom}>
        ${zoom ? text.percent(zoom) : "–"}
      </output>
      <button @click=${() => this.step(1)} aria-label=${text.viewer.in} title="+">+</button>
      <button @click=${() => this.fit()}>${text.viewer.fit}</button>
      <button @click=${() => this.zoomTo(1)}>100 %</button>
      ${this.isMoving ? this.#player() : nothing}
      <span class="grounds" role="radiogroup" aria-label=${text.viewer.ground}>
        ${GROUNDS.map((ground) => this.#swatch(ground))}
      </span>
    </div>`;
  }

  #player() {
    return html`<button @click=${() => (this.isStill = !this.isStill)}>
      ${this.isStill ? text.viewer.play : text.viewer.still}
    </button>`;
  }

  #swatch(ground) {
    const chosen = () => {
      this.ground = ground;
      this.tell("ground-change", { ground, colour: this.colour });
    };
    const coloured = (event) => {
      this.colour = event.target.value;
      chosen();
    };
    return html`<label class="swatch ground-${ground}" title=${text.viewer.grounds[ground]}>
      <input
        type="radio"
        name="ground"
        .checked=${this.ground === ground}
        aria-label=${text.viewer.grounds[ground]}
        @change=${chosen}
      />
      ${
        ground === "colour"
          ? html`<input
              type="color"
              .value=${this.colour}
              aria-label=${text.viewer.pick}
              @input=${coloured}
            />`
          : nothing
      }
    </label>`;
  }

  #loaded(which, { naturalWidth: width, naturalHeight: height }) {
    if (!width) return;
    this.sizes = { ...this.sizes, [which]: { width, height } };
    if (which === "after" || !this.sizes.after) this.size = { width, height };
    if (this.isFitted || !this.view) this.fit();
    else this.view = within(this.view, this.size, this.room, devicePixelRatio);
  }

  #failed(which) {
    this.isBroken = true;
    delete this.sizes[which];
    this.size = this.sizes.before ?? this.size;
  }

  #resized() {
    if (!this.size) return;
    if (this.isFitted) this.fit();
    else this.view = within(this.view, this.size, this.room, devicePixelRatio);
  }

  /** Shows the whole picture. */
  fit() {
    if (!this.size) return;
    this.isFitted = true;
    this.view = fit(this.size, this.room, devicePixelRatio);
  }

  /** Shows a pixel of the picture as so many of the device's. */
  zoomTo(zoom, point = { x: this.room.width / 2, y: this.room.height / 2 }) {
    if (!this.size) return;
    const width = (zoom * this.size.width) / devicePixelRatio;
    this.isFitted = false;
    this.view = zoomed(this.view, this.size, this.room, devicePixelRatio, width, point);
    this.tell("view-change", this.view);
  }

  /** Zooms to the next step. */
  step(by) {
    if (!this.size) return;
    const zoom = zoomOf(this.view, this.size, devicePixelRatio);
    const steps =
      by > 0 ? STEPS.filter((s) => s > zoom * 1.01) : STEPS.filter((s) => s < zoom * 0.99);
    this.zoomTo((by > 0 ? steps[0] : steps.at(-1)) ?? (by > 0 ? LARGEST : zoom / 2));
  }

  /** Takes the view of another one, of a picture of the same shape. */
  follow(view) {
    if (!this.size) return;
    this.isFitted = false;
    this.view = within(view, this.size, this.room, devicePixelRatio);
  }

  pan(x, y) {
    if (!this.size) return;
    this.isFitted = false;
    const moved = { ...this.view, x: this.view.x + x, y: this.view.y + y };
    this.view = within(moved, this.size, this.room, devicePixelRatio);
    this.tell("view-change", this.view);
  }

  #wheel(event) {
    event.preventDefault();
    if (!this.view) return;
    const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 16 : 1;
    const factor = Math.exp(-event.deltaY * lines * (event.ctrlKey ? 0.01 : 0.0015));
    this.zoomTo(zoomOf(this.view, this.size, devicePixelRatio) * factor, this.#point(event));
  }

  #point(event) {
    const { left, top } = this.stage.getBoundingClientRect();
    return { x: event.clientX - left, y: event.clientY - top };
  }

  /** A point in pixels of the picture that is drawn on: of the original. */
  #inPicture(event) {
    const { x, y } = this.#point(event);
    const scale = this.#drawnSize.width / this.view.width;
    return { x: (x - this.view.x) * scale, y: (y - this.view.y) * scale };
  }

  get #drawnSize() {
    return this.sizes.before ?? this.size;
  }

  #onStage({ x, y }) {
    const scale = this.view.width / this.#drawnSize.width;
    return { x: this.view.x + x * scale, y: this.view.y + y * scale };
  }

  #down(event) {
    const box = event.target.closest(".overlay input");
    if (!this.view || event.button > 1 || (box && !this.tool)) return;
    this.box = box; // a stroke may begin on it; a click ticks it
    if (event.pointerType === "touch" && this.isPen) return; // a hand beside the pen
    this.isPen = event.pointerType === "pen";
    this.stage.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, this.#point(event));
    const draws = this.tool && event.button === 0 && !event.altKey && this.pointers.size === 1;
    if (draws) this.#lower(this.#inPicture(event));
    else if (this.isStroke) this.stroke.end(true); // a second finger moves the picture
    this.isStroke = Boolean(draws);
  }

  #lower(point) {
    this.pen = point;
    this.stroke = this.tool;
    this.stroke.begin(point);
  }

  #move(event) {
    if (this.tool?.radius && this.view) this.pen = this.#inPicture(event);
    const before = this.pointers.get(event.pointerId);
    if (!before) return;
    if (!event.buttons) return this.#up(event); // it was let go where the page didn't see it
    if (this.isStroke) {
      this.box = null;
      for (const each of event.getCoalescedEvents?.() ?? [event])
        this.stroke.move(this.#inPicture(each));
      return;
    }
    const now = this.#point(event);
    const other = [...this.pointers].find(([id]) => id !== event.pointerId)?.[1];
    if (other) this.#pinch(before, now, other);
    else this.pan(now.x - before.x, now.y - before.y);
    this.pointers.set(event.pointerId, now);
  }

  #pinch(before, now, other) {
    const apart = (a, b) => Math.hypot(a.x - b.x, a.y - b.y) || 1;
    const zoom = zoomOf(this.view, this.size, devicePixelRatio);
    const middle = { x: (now.x + other.x) / 2, y: (now.y + other.y) / 2 };
    this.zoomTo((zoom * apart(now, other)) / apart(before, other), middle);
    this.pan((now.x - before.x) / 2, (now.y - before.y) / 2);
  }

  #up(event) {
    if (this.isStroke) this.stroke.end(event.type === "pointercancel" || Boolean(this.box));
    if (this.isStroke) this.box?.click();
    this.isStroke = this.isPen = false;
    this.pointers.delete(event.pointerId);
  }

  #grab(event) {
    event.stopPropagation();
    const handle = event.currentTarget;
    handle.setPointerCapture(event.pointerId);
    handle.onpointermove = (move) => this.slideTo(this.#point(move).x / this.room.width);
    handle.onpointerup = handle.onpointercancel = () => (handle.onpointermove = null);
  }

  slideTo(split) {
    this.split = clamped(split, 0, 1);
  }

  #slide(event) {
    const step = event.shiftKey ? 0.1 : 0.01;
    const to = {
      ArrowLeft: this.split - step,
      ArrowRight: this.split + step,
      Home: 0,
      End: 1,
    }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    this.slideTo(to);
  }

  #key(event) {
    if (event.target !== this.stage || event.ctrlKey || event.metaKey || !this.view) return;
    const moves = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
    const move = moves[event.key];
    const draws = Boolean(this.tool?.radius);
    if (!move && !(draws && event.key === " ")) return;
    event.preventDefault();
    event.stopPropagation();
    if (draws) this.#draw(move ?? [0, 0], event);
    else this.pan(KEY_STEP * move[0], KEY_STEP * move[1]);
  }

  /** Moves the tool by half its radius, or with Shift by a pixel; Space lowers it, or lifts it. */
  #draw([left, up], { key, shiftKey }) {
    const { width, height } = this.#drawnSize;
    const { x, y } = this.pen ?? { x: width / 2, y: height / 2 };
    const step = shiftKey ? 1 : Math.max(1, this.tool.radius / 2);
    this.pen = { x: clamped(x - left * step, 0, width), y: clamped(y - up * step, 0, height) };
    if (key !== " ") return this.isStroke && this.stroke.move(this.pen);
    if (this.isStroke) this.stroke.end();
    else this.#lower(this.pen);
    this.isStroke = !this.isStroke;
  }
}

const HANDLE = html`<svg viewBox="0 0 24 24" width="24" height="24">
  <path d="M9 6 3 12l6 6M15 6l6 6-6 6" fill="none" stroke="currentColor" stroke-width="2" />
</svg>`;

customElements.define("picture-viewer", Viewer);

/** What a person draws on a picture: strokes of a brush and areas of a lasso, with undo. */

import { text } from "./text.js";
import { clamped } from "./view.js";

const SHOWN_PIXELS = 4e6; // of the canvas on screen, at most; the mask itself is as large as the picture

/** What can be drawn for an action: names of colours on screen, and values in the mask. */
export const MASKS = {
  fix_artifacts: { option: "mask", ground: 0, values: { repair: 255 } },
  rembg: { option: "mask", ground: 128, values: { keep: 255, remove: 0 } },
};

const COLOURS = { repair: "--paint-repair", keep: "--paint-keep", remove: "--paint-remove" };

/** @fires change after each stroke. */
export class Drawing extends EventTarget {
  #done = [];
  #undone = [];
  #current = null;

  /** For the viewer's overlay. */
  canvas = document.createElement("canvas");
  regions = null; // of damage, once somebody has looked for it
  mode;
  shape = "brush";
  radius;

  constructor(mask, width, height) {
    super();
    Object.assign(this, { mask, width, height });
    this.mode = Object.keys(mask.values)[0];
    this.radius = Math.max(4, Math.round(Math.min(width, height) / 30));
    const scale = Math.min(1, Math.sqrt(SHOWN_PIXELS / (width * height)));
    this.canvas.width = Math.max(1, Math.round(width * scale));
    this.canvas.height = Math.max(1, Math.round(height * scale));
    this.canvas.className = "drawing";
  }

  get isEmpty() {
    return !this.#done.length;
  }

  get canUndo() {
    return this.#done.length > 0;
  }

  get canRedo() {
    return this.#undone.length > 0;
  }

  begin(point) {
    this.#current = { shape: this.shape, mode: this.mode, radius: this.radius, points: [point] };
    this.#show();
  }

  move(point) {
    if (!this.#current) return;
    this.#current.points.push(point);
    this.#show();
  }

  end(isCancelled = false) {
    if (this.#current && !isCancelled) {
      this.#done.push(this.#current);
      this.#undone = [];
    }
    this.#current = null;
    this.#changed();
  }

  undo() {
    if (this.canUndo) this.#undone.push(this.#done.pop());
    this.#changed();
  }

  redo() {
    if (this.canRedo) this.#done.push(this.#undone.pop());
    this.#changed();
  }

  clear() {
    this.#done = [];
    this.#undone = [];
    this.#changed();
  }

  /** The mask as a PNG of the picture's size. */
  async file() {
    const canvas = document.createElement("canvas");
    Object.assign(canvas, { width: this.width, height: this.height });
    const context = canvas.getContext("2d", { alpha: false });
    const gray = (value) => `rgb(${value} ${value} ${value})`;
    context.fillStyle = gray(this.mask.ground);
    context.fillRect(0, 0, this.width, this.height);
    for (const each of this.#done) {
      draw(context, each, gray(this.mask.values[each.mode] ?? this.mask.ground));
    }
    return new Promise((resolve, reject) =>
      canvas.toBlob((file) => (file ? resolve(file) : reject(new Error(text.errors.mask)))),
    );
  }

  #show() {
    const context = this.canvas.getContext("2d");
    const style = getComputedStyle(document.documentElement);
    const scale = this.canvas.width / this.width;
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.clearRect(0, 0, this.width, this.height);
    for (const each of [...this.#done, ...(this.#current ? [this.#current] : [])]) {
      const colour = COLOURS[each.mode];
      context.globalCompositeOperation = colour ? "source-over" : "destination-out";
      draw(context, each, colour ? style.getPropertyValue(colour) : "black");
    }
  }

  #changed() {
    this.#show();
    this.dispatchEvent(new Event("change"));
  }
}

function draw(context, { shape, radius, points }, colour) {
  const path = new Path2D();
  path.moveTo(points[0].x, points[0].y);
  for (const { x, y } of points) path.lineTo(x, y);
  if (shape === "lasso") {
    path.closePath();
    context.fillStyle = colour;
    context.fill(path);
    return;
  }
  Object.assign(context, { strokeStyle: colour, lineWidth: 2 * radius });
  Object.assign(context, { lineCap: "round", lineJoin: "round" });
  context.stroke(path);
}

/** A tool for the viewer: marks a rectangle within a picture. */
export class Cropper {
  constructor(width, height, changed) {
    Object.assign(this, { width, height, changed });
  }

  begin(point) {
    this.from = point;
  }

  move(to) {
    const within = (value, most) => Math.round(clamped(value, 0, most));
    const [x, right] = [this.from.x, to.x].sort((a, b) => a - b).map((v) => within(v, this.width));
    const [y, low] = [this.from.y, to.y].sort((a, b) => a - b).map((v) => within(v, this.height));
    this.changed({ x, y, width: Math.max(1, right - x), height: Math.max(1, low - y) });
  }

  end() {}
}

/** Where a picture is on its stage: {width, x, y} in CSS pixels. Plain functions. */

export const LARGEST = 8; // device pixels for one pixel of the picture
const SMALLEST_WIDTH = 24;
const KEPT = 48; // of a picture that is moved, at least this much stays on the stage
const MARGIN = 24;

export const clamped = (value, least, most) => Math.min(most, Math.max(least, value));

/** The whole picture, amid the stage, not enlarged over four times. */
export function fit(picture, stage, ratio) {
  const inner = [stage.width - 2 * MARGIN, stage.height - 2 * MARGIN];
  const most = (4 * picture.width) / ratio;
  const width = Math.max(
    SMALLEST_WIDTH,
    Math.min(inner[0], (inner[1] * picture.width) / picture.height, most),
  );
  const height = (width * picture.height) / picture.width;
  return settled({ width, x: (stage.width - width) / 2, y: (stage.height - height) / 2 }, ratio);
}

/** The view after a change of its width that leaves a point of the stage where it is. */
export function zoomed(view, picture, stage, ratio, width, point) {
  const most = (LARGEST * picture.width) / ratio;
  const kept = clamped(width, SMALLEST_WIDTH, most);
  const by = kept / view.width;
  const x = point.x - (point.x - view.x) * by;
  const y = point.y - (point.y - view.y) * by;
  return within({ width: kept, x, y }, picture, stage, ratio);
}

/** The view, moved so that some of the picture is on the stage. */
export function within({ width, x, y }, picture, stage, ratio) {
  const height = (width * picture.height) / picture.width;
  const kept = (value, size, room) =>
    clamped(value, Math.min(KEPT, size) - size, room - Math.min(KEPT, size));
  const at = { x: kept(x, width, stage.width), y: kept(y, height, stage.height) };
  return settled({ width, ...at }, ratio);
}

/** On whole pixels of the device, so that none of the picture's is smeared over two. */
function settled({ width, x, y }, ratio) {
  return { width, x: Math.round(x * ratio) / ratio, y: Math.round(y * ratio) / ratio };
}

/** The style of what lies on a part of a picture, within what lies on the whole of it. */
export function placed({ x, y, width, height }, whole) {
  const part = (value, all) => `${(100 * value) / all}%`;
  const sides = { left: x, top: y, width, height };
  const along = { left: whole.width, top: whole.height, ...whole };
  return Object.keys(sides)
    .map((side) => `${side}: ${part(sides[side], along[side])}`)
    .join("; ");
}

/** Device pixels for one pixel of the picture. */
export const zoomOf = (view, picture, ratio) => (view.width * ratio) / picture.width;

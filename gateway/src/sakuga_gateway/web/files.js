/** Files in and out of the page: dropped, pasted, chosen; saved, copied, zipped. */

import { downloadZip } from "./vendor/client-zip.js";
import { clean, divided } from "./names.js";

const PICTURE = /^image\//;
const SUFFIX = /\.(png|apng|jpe?g|jfif|webp|gif|avif|tiff?|bmp|tga|qoi|hei[cf]|jxl|ico|ppm|pgm)$/i;

const isPicture = (file) => PICTURE.test(file.type) || SUFFIX.test(file.name);

const entry = (file, folder = "") => ({ file, name: file.name, folder });

/** Pictures of a list of files; of a chosen folder, with their places in it. */
export const listed = (files) =>
  [...files]
    .filter(isPicture)
    .map((file) => entry(file, file.webkitRelativePath.split("/").slice(0, -1).join("/")));

/** Pictures of what was dropped or pasted, folders with all that is in them. */
export async function transferred(transfer) {
  const items = [...transfer.items].filter(({ kind }) => kind === "file");
  // Both are asked for at once: the transfer is empty after the first pause.
  const roots = items.map((item) => [item.webkitGetAsEntry?.(), item.getAsFile()]);
  const found = await Promise.all(
    roots.map(([root, file]) => (root?.isDirectory ? walked(root) : file && [entry(file)])),
  );
  return found.flat().filter((each) => each && isPicture(each.file));
}

async function walked(directory) {
  const reader = directory.createReader();
  const entries = [];
  for (;;) {
    const some = await new Promise((resolve) => reader.readEntries(resolve, () => resolve([])));
    if (!some.length) break; // it gives a hundred at a time
    entries.push(...some);
  }
  entries.sort((a, b) => a.name.localeCompare(b.name, undefined, { numeric: true }));
  const found = [];
  for (const each of entries) found.push(...(await reached(each)));
  return found;
}

async function reached(each) {
  if (each.isDirectory) return walked(each);
  const file = await new Promise((resolve) => each.file(resolve, () => resolve(null)));
  if (!file) return []; // a broken link, or one that may not be read
  return [entry(file, each.fullPath.split("/").slice(1, -1).join("/"))];
}

/** Saves a file under a name. */
export function save(file, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(file);
  link.download = clean(name);
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

export const canCopy = () => Boolean(navigator.clipboard?.write && window.ClipboardItem);

/** Copies a picture as PNG, the only kind that every clipboard takes. */
export async function copy(file) {
  const png = file.type === "image/png" ? file : asPng(file);
  await navigator.clipboard.write([new ClipboardItem({ "image/png": png })]);
}

async function asPng(file) {
  const bitmap = await createImageBitmap(file);
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  canvas.getContext("2d").drawImage(bitmap, 0, 0);
  bitmap.close();
  return canvas.convertToBlob();
}

/** A part of a picture as PNG. */
export async function cropped(file, { x, y, width, height }) {
  const bitmap = await createImageBitmap(file, x, y, width, height);
  const canvas = new OffscreenCanvas(width, height);
  canvas.getContext("2d").drawImage(bitmap, 0, 0);
  bitmap.close();
  return canvas.convertToBlob();
}

/** A zip of results, in the folders that their pictures came from, without those that can't be had.
 *
 * @param pictures with results.
 * @param {(picture) => Promise<Blob | null>} get gives the result of one; called when its turn comes.
 */
export function zipped(pictures, get) {
  const taken = new Set();
  const names = pictures.map((each) => unique(placed(each), taken));
  async function* entries() {
    for (const [index, picture] of pictures.entries()) {
      const input = await get(picture);
      if (input) yield { name: names[index], input, lastModified: new Date() };
    }
  }
  return downloadZip(entries()).blob();
}

/** Where a result lies within the zip; nowhere outside of it. */
export function placed({ folder, result }) {
  const parts = [...folder.split("/"), result.name].map((part) =>
    clean(part).replace(/[\\/:]/g, "_"),
  );
  return parts.filter((part) => part && !/^\.+$/.test(part)).join("/") || "picture";
}

function unique(name, taken) {
  const { stem, suffix } = divided(name);
  let free = name;
  for (let number = 2; taken.has(free.toLowerCase()); number += 1)
    free = `${stem}-${number}${suffix}`;
  taken.add(free.toLowerCase());
  return free;
}

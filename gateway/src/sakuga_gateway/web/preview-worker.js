/** A worker: takes a file, gives its size and a small copy. */

const SIDE = 144;
const MOVING = ["image/gif", "image/webp", "image/png", "image/avif"]; // PNG: as APNG

async function made(file) {
  const bitmap = await createImageBitmap(file);
  const { width, height } = bitmap;
  const scale = Math.min(1, SIDE / Math.max(width, height));
  const canvas = new OffscreenCanvas(
    Math.max(1, Math.round(width * scale)),
    Math.max(1, Math.round(height * scale)),
  );
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  const thumbnail = await canvas.convertToBlob({ type: "image/webp" });
  return { width, height, frames: await framesOf(file), thumbnail };
}

/** How many pictures an animation has; 1, where this browser can't tell. */
async function framesOf(file) {
  if (!MOVING.includes(file.type) || !self.ImageDecoder) return 1;
  try {
    const decoder = new ImageDecoder({ data: file.stream(), type: file.type });
    await decoder.completed;
    const count = decoder.tracks.selectedTrack.frameCount;
    decoder.close();
    return count;
  } catch {
    return 1;
  }
}

onmessage = async ({ data }) => postMessage(await made(data).catch(() => ({})));

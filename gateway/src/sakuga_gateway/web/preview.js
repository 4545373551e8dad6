/** Sizes and thumbnails of pictures, made off the main thread. */

let worker;
let last = Promise.resolve();

/** {width, height, frames, thumbnail} of a file; nothing, where this browser can't decode it. */
export function preview(file) {
  last = last.then(() => asked(file));
  return last;
}

function asked(file) {
  worker ??= new Worker(script(), { type: "module" });
  return new Promise((resolve) => {
    worker.onmessage = ({ data }) => resolve(data);
    worker.onerror = () => resolve({});
    worker.postMessage(file);
  });
}

/** The worker's address, as browsers with trusted types want it. */
function script() {
  const url = new URL("./preview-worker.js", import.meta.url).href;
  const policy = window.trustedTypes?.createPolicy("sakuga", { createScriptURL: () => url });
  return policy ? policy.createScriptURL("") : url;
}

/** All texts of the page. */

export const capital = (words) => words.charAt(0).toUpperCase() + words.slice(1);
const number = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });
const several = (count, one, more = `${one}s`) => `${count} ${count === 1 ? one : more}`;

/** A size in bytes, for people. */
export function bytes(count) {
  if (count < 1000) return several(count, "byte");
  const units = ["kB", "MB", "GB"];
  const power = Math.min(units.length, Math.floor(Math.log10(count) / 3));
  return `${number.format(count / 1000 ** power)} ${units[power - 1]}`;
}

function duration(seconds) {
  if (seconds < 1) return "under a second";
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return `${number.format(seconds / 3600)} h`;
}

const size = (width, height) => `${width} × ${height}`;

export const text = {
  name: "Sakuga",
  percent: (zoom) => `${Math.round(100 * zoom)} %`,
  bytes,
  duration,
  size,

  actions: {
    upscale: { name: "Upscale", run: "Upscale", again: "Upscale again", done: "upscaled" },
    rembg: {
      name: "Remove background",
      run: "Remove background",
      again: "Remove again",
      done: "cutout",
    },
    fix_artifacts: { name: "Repair", run: "Repair", again: "Repair again", done: "repaired" },
    enhance: { name: "Enhance", run: "Enhance", again: "Enhance again", done: "enhanced" },
  },
  action(name) {
    const shown = capital(name.replaceAll("_", " "));
    return this.actions[name] ?? { name: shown, run: shown, again: `${shown} again`, done: name };
  },
  tabs: "Actions",

  start: {
    title: "Drop a picture here",
    also: "or paste one, or a whole folder",
    choose: "Choose pictures",
    folder: "Choose a folder",
    samples: "Or try a sample",
    sample: (name) => `Sample: ${name}`,
    samplesOf: {
      "heroine.webp": "Figure",
      "mascot.webp": "Mascot",
      "sunset.webp": "Landscape",
      "lineart.webp": "Line art",
      "heroine_q25.jpg": "Low-quality JPEG",
    },
    dropping: "Drop to add",
  },

  viewer: {
    label: (name) => `Picture ${name}. Arrow keys move it.`,
    before: (name) => `${name}, before`,
    after: (name) => `${name}, after`,
    left: "Before",
    right: "After",
    slider: "Before and after",
    bar: "View",
    in: "Zoom in",
    out: "Zoom out",
    zoom: "Zoom",
    fit: "Fit",
    ground: "Behind transparency",
    grounds: { checker: "Checkerboard", black: "Black", white: "White", colour: "A colour" },
    pick: "Colour behind transparency",
    play: "Play",
    still: "Stop the animation",
    cannotShow:
      "This browser can't show this file. If it is a picture, it can still be processed.",
  },

  options: {
    more: "More",
    automatic: "automatic",
    yes: "yes",
    no: "no",
    usual: (value, name) => (value ? `${value} (default)` : (AUTOMATIC[name] ?? "automatic")),
    missing: (title, name) =>
      `${title}. The default, ${name}, isn't installed; \`sakuga export ${name}\` installs it.`,
    use: (name) => `Set ${name.replaceAll("_", " ")}`,
    label: (name) => LABELS[name] ?? capital(name.replaceAll("_", " ")),
    value: (value, name) => (name === "format" ? (FORMATS[value] ?? value.toUpperCase()) : value),
    reset: "Reset",
  },

  run: {
    cancel: "Cancel",
    retry: "Try again",
    now: (state) => ({ succeeded: "Done", failed: "Failed", cancelled: "Cancelled" })[state] ?? "",
    foreseen: (from, to) => (from === to ? to : `${from} → ${to}`),
    memory: (amount) => `about ${amount} of memory`,
    takes: (seconds) => (seconds < 1 ? duration(seconds) : `about ${duration(seconds)}`),
    unknown: "the first picture gives the time estimate",
  },

  result: {
    title: "Result",
    download: "Download",
    copy: "Copy",
    copied: "Copied",
    sendTo: "Send to",
    expired: "The result has been deleted. Run it again.",
    took: (seconds) => (seconds < 10 ? `${number.format(seconds)} s` : duration(seconds)),
    line: ({ input, output, model, frames, milliseconds }) =>
      [
        `${size(input.width, input.height)} → ${size(output.width, output.height)}`,
        output.format.toUpperCase(),
        bytes(output.bytes),
        ...(frames > 1 ? [several(frames, "frame")] : []),
        model,
        text.result.took((milliseconds?.total ?? 0) / 1000),
      ].join(" · "),
    regions: (count) => (count ? `${several(count, "damaged region")} found` : "No damage found"),
  },

  queue: {
    label: "Pictures",
    unnamed: "picture",
    states: {
      new: "",
      waiting: "waiting",
      sending: "sending",
      queued: "queued",
      running: "working",
      succeeded: "done",
      failed: "failed",
      cancelled: "cancelled",
    },
    place: (place) => `${several(place, "picture")} ahead`,
    progress: (done, total, unit, rest) =>
      `${done} of ${several(total, unit.replace(/s$/, ""))}${rest && `, ${rest} left`}`,
    progressBar: "Progress",
    add: "Add pictures",
    folder: "Add a folder",
    startAll: (count) => `Start ${several(count, "picture")}`,
    paused: "paused",
    pause: "Pause",
    resume: "Resume",
    zip: (count) => `Download ${several(count, "result")}`,
    zipping: "Creating the zip",
    lost: (names) => `Not in the zip, because these results have been deleted: ${names.join(", ")}`,
    clear: "Remove all",
    remove: "Remove picture",
    earlier: "Move earlier",
    later: "Move later",
    sure: "Remove all pictures and their results?",
    sureAgain: (count) =>
      `Replace ${several(count, "existing result")}?`,
    sureOf: (name) => `Remove ${name} and its result?`,
    counts: ({ all, done }) => (all > 1 ? `${done} of ${all} done` : ""),
    zipName: "sakuga.zip",
  },

  retouch: {
    title: { fix_artifacts: "Retouch", rembg: "Correct the edge" },
    help: {
      fix_artifacts: "Paint over hands, text or specks that should be inpainted.",
      rembg: "Paint what to keep and what to remove, then run again.",
    },
    modes: { repair: "Repair", keep: "Keep", remove: "Remove", erase: "Erase" },
    shapes: { brush: "Brush", lasso: "Lasso" },
    shape: "Tool",
    mode: "Paint",
    radius: "Brush size",
    undo: "Undo",
    redo: "Redo",
    clear: "Clear",
    save: "Save the mask",
    start: "Draw",
    stop: "Stop drawing",
    find: "Find damage",
    finding: "Detecting damage",
    regions: "Regions to repair",
    region: ({ kind, box }) => `${KINDS[kind] ?? kind}, ${size(box[2], box[3])}`,
    show: "Show the mask",
    nothing: "No damage was detected. Paint over damage that you see.",
    all: "Repair all",
    none: "Repair none",
  },

  compare: {
    open: "Compare models",
    title: "Compare models",
    stopped: "stopped",
    help: "Drag over the part of the picture to compare, and select models.",
    crop: "Part to compare",
    run: "Compare",
    stop: "Stop",
    candidates: "Models and settings",
    original: "Original",
    took: (seconds) => `${text.result.took(seconds)}`,
    use: "Use this",
    close: "Close",
    running: "working",
    x: "Left",
    y: "Top",
    width: "Width",
    height: "Height",
  },

  code: {
    title: "As code",
    copy: (language) => `Copy ${language}`,
    copied: "Copied",
  },

  key: {
    title: "This gateway needs a key",
    label: "Key",
    help: "The key is stored only in this browser.",
    save: "Use this key",
    allowed: "Letters, digits and signs, without spaces",
    wrong: "The gateway doesn't know this key.",
  },

  help: {
    title: "Keyboard",
    open: "Keyboard shortcuts",
    single: "Single-key shortcuts",
    close: "Close",
    keys: [
      ["?", "this list"],
      ["Ctrl+O", "choose pictures"],
      ["Ctrl+V", "paste a picture"],
      ["Ctrl+Enter", "start"],
      ["Esc", "cancel"],
      ["1 – 4", "choose an action"],
      ["+  −", "zoom in, zoom out"],
      ["0", "show the whole picture"],
      ["9", "show at 100 %"],
      ["← ↑ → ↓", "move the picture, the slider or the selection that has the focus"],
      ["[  ]", "slider to the left, to the right"],
      ["N  P", "next picture, previous picture"],
      ["Alt+← Alt+→", "move the selected picture within the queue"],
      ["D", "draw, or stop drawing"],
      ["Space", "while drawing: start or end a stroke; arrow keys move the brush"],
      ["B  L", "brush, lasso"],
      ["Ctrl+Z  Ctrl+Shift+Z", "undo, redo"],
      ["S", "download the result"],
      ["C", "copy the result"],
      ["Del", "remove the picture from the queue"],
    ],
  },

  errors: {
    unreachable: "The gateway doesn't answer. Is `sakuga web` running?",
    away: "The gateway doesn't answer. Work continues when it does.",
    status: (status) => `The gateway answered with status ${status}.`,
    expired: "The gateway has deleted this job.",
    copy: "This browser can't copy a result of this format. Download it.",
    mask: "The picture is too large to draw a mask in this browser.",
    noPictures: "None of these files is a picture.",
    noModels: "No network is installed for this action. `sakuga export` installs one.",
    shelf: "This browser can't store the pictures. They are lost when the page is reloaded.",
    advice: {
      BadImage: "The file is damaged or isn't a picture: choose another one.",
      TooLarge: "Choose a smaller scale, or a smaller picture.",
      Overloaded: "The server is busy: try again in a moment.",
      ServerUnavailable: "Start the server, then try again.",
      ModelNotInstalled: "Choose another model, or install it with `sakuga export`.",
      PermissionDenied: "Check the key.",
      DeadlineExceeded: "Try a smaller picture, or a faster model.",
    },
  },
};

/** The defaults of options. */
const AUTOMATIC = { format: "PNG (default)" };

const FORMATS = { auto: "as the input", webp: "WebP", jxl: "JPEG XL", raw: "raw pixels" };

const LABELS = {
  model: "Model",
  format: "File format",
  keep_metadata: "Keep metadata",
  max_side: "Longer side",
  megapixels: "Megapixels",
  alpha_matting: "Refine the edge",
  alpha_matting_foreground_threshold: "Foreground threshold",
  alpha_matting_background_threshold: "Background threshold",
  alpha_matting_erode_size: "Width of the edge",
  background_color: "New background",
  only_mask: "Mask only",
  post_process_mask: "Clean the mask",
  detector: "Detect",
  restore: "Remove JPEG blocks and banding",
  jpeg_consistency: "Keep consistent with the JPEG",
  inpaint: "Inpaint with",
  denoise_strength: "Remove noise",
};

const KINDS = { jpeg: "JPEG blocks", banding: "Banding", speck: "Speck", user: "Marked" };

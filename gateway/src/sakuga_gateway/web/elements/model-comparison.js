/** <model-comparison>: a part of one's own picture through several networks, side by side. */

import { html, nothing } from "../vendor/lit.js";
import * as api from "../api.js";
import { Cropper } from "../drawing.js";
import { cropped } from "../files.js";
import { set } from "../options.js";
import { text } from "../text.js";
import { clamped, placed } from "../view.js";
import { Element } from "./element.js";
import "./viewer.js";

const SIDE = 192; // of the part at first, in pixels

export class ModelComparison extends Element {
  static properties = {
    session: { attribute: false },
    picture: { state: true },
    crop: { state: true },
    candidates: { state: true },
    trials: { state: true },
    running: { state: true },
    notice: { state: true },
  };

  constructor() {
    super();
    Object.assign(this, { trials: [], candidates: [] });
  }

  /** Opens it for the picture that is shown. */
  open() {
    const { picture, action, choices, model, values } = this.session;
    const { width, height } = picture;
    // A background is told from the whole picture.
    const [w, h] =
      action.kind === "segment" ? [width, height] : [Math.min(SIDE, width), Math.min(SIDE, height)];
    this.crop = { x: (width - w) >> 1, y: (height - h) >> 1, width: w, height: h };
    Object.assign(this, { picture, notice: null });
    this.url = URL.createObjectURL(picture.file);
    const current = choices.map(({ name, title }) => ({
      ...candidate({ ...values, model: name }),
      title,
      isTicked: name === model?.name || choices.length <= 4,
    }));
    const names = new Set(current.map(({ name }) => name));
    const before = this.candidates.filter((each) => each.action === action.name && each.isTried);
    this.candidates = [...current, ...before.filter(({ name }) => !names.has(name))];
    for (const each of this.candidates) each.action = action.name;
    this.tool = new Cropper(width, height, (crop) => (this.crop = crop));
    this.querySelector("dialog").showModal();
  }

  #closed() {
    this.running?.abort();
    this.#forget();
    URL.revokeObjectURL(this.url);
    this.picture = null;
  }

  #forget() {
    for (const { url } of this.trials) if (url) URL.revokeObjectURL(url);
    this.trials = [];
  }

  render() {
    return html`<dialog
      class="comparison"
      aria-labelledby="compare-title"
      @close=${(event) => event.target.localName === "dialog" && this.#closed()}
    >
      ${this.picture ? this.#content() : nothing}
    </dialog>`;
  }

  #content() {
    return html`
      <header>
        <h2 id="compare-title">${text.compare.title}</h2>
        <button @click=${() => this.querySelector("dialog").close()}>${text.compare.close}</button>
      </header>
      <div class="comparison-body">
        <div class="comparison-setup">
          <p class="help">${text.compare.help}</p>
          <picture-viewer
            bare
            .before=${this.url}
            .name=${this.picture.name}
            .tool=${this.tool}
            .overlay=${this.#marked()}
          ></picture-viewer>
          ${this.#numbers()} ${this.#list()}
          <p class="buttons">
            ${
              this.running
                ? html`<button @click=${() => this.running.abort()}>${text.compare.stop}</button>`
                : html`<button class="primary" @click=${this.run}>${text.compare.run}</button>`
            }
          </p>
          ${this.notice ? html`<p class="problem" role="alert">${this.notice}</p>` : nothing}
        </div>
        <div class="trials" role="list">${this.trials.map(this.#trial)}</div>
      </div>
    `;
  }

  #marked() {
    return html`<div class="crop" .style=${placed(this.crop, this.picture)}></div>`;
  }

  /** The part in numbers, for those who don't drag. */
  #numbers() {
    const { width, height } = this.picture;
    const most = { x: width - 1, y: height - 1, width, height };
    return html`<fieldset class="numbers">
      <legend>${text.compare.crop}</legend>
      ${Object.keys(most).map(
        (name) =>
          html`<label>
            ${text.compare[name]}
            <input
              type="number"
              min=${name.length > 1 ? 1 : 0}
              max=${most[name]}
              .value=${String(this.crop[name])}
              @change=${({ target }) => this.#change(name, target.valueAsNumber)}
            />
          </label>`,
      )}
    </fieldset>`;
  }

  #change(name, value) {
    const crop = { ...this.crop, [name]: Math.round(value) || 0 };
    const { width, height } = this.picture;
    crop.x = clamped(crop.x, 0, width - 1);
    crop.y = clamped(crop.y, 0, height - 1);
    crop.width = clamped(crop.width, 1, width - crop.x);
    crop.height = clamped(crop.height, 1, height - crop.y);
    this.crop = crop;
  }

  #list() {
    const tick = (candidate, isTicked) => {
      candidate.isTicked = isTicked;
      this.requestUpdate();
    };
    return html`<fieldset class="candidates">
      <legend>${text.compare.candidates}</legend>
      ${this.candidates.map(
        (candidate) =>
          html`<label title=${candidate.title ?? ""}>
            <input
              type="checkbox"
              .checked=${candidate.isTicked}
              @change=${({ target }) => tick(candidate, target.checked)}
            />
            ${candidate.name}
          </label>`,
      )}
    </fieldset>`;
  }

  #trial = (trial) =>
    html`<figure role="listitem">
      <picture-viewer
        bare
        .before=${trial.url}
        .name=${trial.name}
        @view-change=${(event) => this.#together(event)}
      ></picture-viewer>
      <figcaption>
        <b title=${trial.name}>${trial.name}</b>
        <span role="status"
          >${trial.problem ?? (trial.url ? trial.took : text.compare.running)}</span
        >
        ${
          trial.values && trial.url
            ? html`<button @click=${() => this.#use(trial)}>${text.compare.use}</button>`
            : nothing
        }
      </figcaption>
    </figure>`;

  /** Moves and zooms all results as the one that was moved. */
  #together({ target, detail }) {
    for (const viewer of this.querySelectorAll(".trials picture-viewer")) {
      if (viewer !== target) viewer.follow(detail);
    }
  }

  /** Runs one after the other, so that each has the server for itself. */
  run = async () => {
    this.#forget();
    this.notice = null;
    this.running = new AbortController();
    try {
      const { signal } = this.running;
      const part = await cropped(this.picture.file, this.crop);
      signal.throwIfAborted();
      const original = { name: text.compare.original, took: "", url: URL.createObjectURL(part) };
      const chosen = this.candidates.filter(({ isTicked }) => isTicked);
      for (const each of chosen) each.isTried = true; // it stays in the list for other settings
      this.trials = [original, ...chosen.map(({ name, values }) => ({ name, values }))];
      for (const trial of this.trials.slice(1)) await this.#try(trial, part);
    } catch (error) {
      if (error.name !== "AbortError") this.notice = error.message;
      for (const trial of this.trials) if (!trial.url) trial.problem ??= text.compare.stopped;
    }
    this.running = null;
  };

  async #try(trial, part) {
    const { path } = this.session.action;
    const { signal } = this.running;
    // A lossy format, or one that isn't shown here, says nothing of the network.
    const asked = { ...trial.values, format: "png", quality: null };
    const start = performance.now();
    try {
      const { file, report } = await api.process(path, part, "part.png", set(asked), signal);
      const took = (report?.milliseconds?.total ?? performance.now() - start) / 1000;
      Object.assign(trial, { url: URL.createObjectURL(file), took: text.compare.took(took) });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      trial.problem = error.message;
    }
    this.requestUpdate();
  }

  #use(trial) {
    this.session.take(trial.values);
    this.querySelector("dialog").close();
  }
}

/** A network with settings, named after them. */
function candidate(values) {
  const given = set(values);
  const { model, ...rest } = given;
  const settings = Object.entries(rest).map(([name, value]) => `${name} ${value}`);
  return { name: [model, ...settings].join(", "), values: given };
}

customElements.define("model-comparison", ModelComparison);

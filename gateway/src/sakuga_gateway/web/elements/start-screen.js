/** <start-screen>: how pictures come in, while there is none. */

import { html } from "../vendor/lit.js";
import { divided } from "../names.js";
import { text } from "../text.js";
import { Element } from "./element.js";

export const SAMPLES = [
  "heroine.webp",
  "mascot.webp",
  "sunset.webp",
  "lineart.webp",
  "heroine_q25.jpg",
];

/** @fires choose-files, choose-folder, sample its name. */
export class StartScreen extends Element {
  render() {
    return html`<div class="start">
      <h2>${text.start.title}</h2>
      <p>${text.start.also}</p>
      <p class="buttons">
        <button class="primary" @click=${() => this.tell("choose-files")}>
          ${text.start.choose}
        </button>
        <button @click=${() => this.tell("choose-folder")}>${text.start.folder}</button>
      </p>
      <p id="samples-label">${text.start.samples}</p>
      <p class="samples" role="group" aria-labelledby="samples-label">
        ${SAMPLES.map(this.#sample)}
      </p>
    </div>`;
  }

  #sample = (name) =>
    html`<button
      class="sample"
      aria-label=${text.start.sample(divided(name).stem)}
      @click=${() => this.tell("sample", name)}
    >
      <img src="/web/samples/${name}" alt="" width="88" height="88" loading="lazy" />
      <span aria-hidden="true">${text.start.samplesOf[name] ?? ""}</span>
    </button>`;
}

customElements.define("start-screen", StartScreen);

/** <code-lines>: the request that the controls make, for a shell and for Python. */

import { html } from "../vendor/lit.js";
import { curl, python } from "../code.js";
import { text } from "../text.js";
import { Element } from "./element.js";

/**
 * @prop {object} action
 * @prop {object} options those that are set.
 * @prop {object} picture {name, frames}; without one, a.png stands for it.
 */
export class CodeLines extends Element {
  static properties = {
    action: { attribute: false },
    options: { attribute: false },
    picture: { attribute: false },
    copied: { state: true },
  };

  render() {
    const picture = this.picture ?? { name: "a.png" };
    return html`<details class="code">
      <summary>${text.code.title}</summary>
      ${this.#block("curl", curl(this.action, this.options, picture))}
      ${this.#block("Python", python(this.action, this.options, picture))}
    </details>`;
  }

  #block(language, code) {
    return html`<figure>
      <figcaption>
        ${language}
        <button @click=${() => this.#copy(language, code)}>
          ${this.copied === language ? text.code.copied : text.code.copy(language)}
        </button>
      </figcaption>
      <pre tabindex="0" aria-label=${language}><code>${code}</code></pre>
    </figure>`;
  }

  async #copy(language, code) {
    await copyText(code, this);
    this.copied = language;
  }
}

/** Copies text, also where the page isn't in a secure context and has no clipboard. */
async function copyText(code, element) {
  if (navigator.clipboard) return navigator.clipboard.writeText(code);
  const area = Object.assign(document.createElement("textarea"), { value: code });
  element.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}

customElements.define("code-lines", CodeLines);

/** <key-dialog>: asks for the gateway's key. */

import { html } from "../vendor/lit.js";
import { text } from "../text.js";
import { Element } from "./element.js";

/**
 * @prop {string} problem what is wrong with the key that was given before.
 * @fires key-set the key.
 */
export class KeyDialog extends Element {
  static properties = { open: { type: Boolean }, problem: {} };

  updated() {
    const dialog = this.querySelector("dialog");
    if (this.open && !dialog.open) dialog.showModal();
    if (!this.open && dialog.open) dialog.close();
  }

  render() {
    const send = (event) => {
      event.preventDefault();
      this.tell("key-set", new FormData(event.target).get("key").trim());
    };
    return html`<dialog
      aria-labelledby="key-title"
      @cancel=${(event) => event.preventDefault()}
      @close=${() => this.updated()}
    >
      <h2 id="key-title">${text.key.title}</h2>
      <form @submit=${send}>
        <label for="key">${text.key.label}</label>
        <input
          id="key"
          name="key"
          type="password"
          pattern="\\s*[!-~]+\\s*"
          title=${text.key.allowed}
          autocomplete="current-password"
          required
        />
        ${
          this.problem
            ? html`<p class="problem" role="alert">${this.problem}</p>`
            : html`<p class="help">${text.key.help}</p>`
        }
        <button class="primary">${text.key.save}</button>
      </form>
    </dialog>`;
  }
}

customElements.define("key-dialog", KeyDialog);

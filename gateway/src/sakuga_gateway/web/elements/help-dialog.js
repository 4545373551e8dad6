/** <help-dialog>: every key. */

import { html } from "../vendor/lit.js";
import { text } from "../text.js";
import { singleKeys } from "./shortcuts.js";
import { Element } from "./element.js";

export class HelpDialog extends Element {
  open() {
    this.querySelector("dialog").showModal();
  }

  render() {
    return html`<dialog aria-labelledby="help-title">
      <h2 id="help-title" tabindex="-1" autofocus>${text.help.title}</h2>
      <dl>
        ${text.help.keys.map(
          ([keys, does]) =>
            html`<div>
              <dt><kbd>${keys}</kbd></dt>
              <dd>${does}</dd>
            </div>`,
        )}
      </dl>
      <label class="single-keys">
        <input
          type="checkbox"
          .checked=${singleKeys.get()}
          @change=${({ target }) => singleKeys.set(target.checked)}
        />
        ${text.help.single}
      </label>
      <form method="dialog"><button class="primary">${text.help.close}</button></form>
    </dialog>`;
  }
}

customElements.define("help-dialog", HelpDialog);

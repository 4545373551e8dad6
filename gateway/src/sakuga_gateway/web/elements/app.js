/** <sakuga-app>: the page. */

import { html, nothing } from "../vendor/lit.js";
import * as api from "../api.js";
import { listed, transferred } from "../files.js";
import { Session } from "../session.js";
import { text } from "../text.js";
import "./controls.js";
import { SessionElement } from "./element.js";
import "./help-dialog.js";
import "./key-dialog.js";
import "./model-comparison.js";
import "./queue-bar.js";
import "./run-panel.js";
import "./start-screen.js";
import { countsOf } from "./queue-list.js";
import { overlay } from "./retouch-tools.js";
import { shortcut } from "./shortcuts.js";
import "./viewer.js";

export class App extends SessionElement {
  static properties = { isDropping: { state: true } };

  constructor() {
    super();
    this.session = new Session();
  }

  connectedCallback() {
    super.connectedCallback();
    this.session.open();
    addEventListener("keydown", (event) => shortcut(event, this));
    this.addEventListener("focusin", ({ target }) => (this.focused = target));
    addEventListener("beforeunload", (event) => this.session.isUnsaved && event.preventDefault());
    addEventListener("paste", (event) => this.#paste(event));
    addEventListener("dragenter", (event) => this.#drag(event));
    addEventListener("dragover", (event) => this.#drag(event));
    addEventListener("dragleave", (event) => event.relatedTarget || (this.isDropping = false));
    addEventListener("drop", (event) => this.#drop(event));
  }

  updated() {
    const { all, done, open } = countsOf(this.session.queue.pictures);
    document.title = open ? `${done}/${all} · ${text.name}` : text.name;
    queueMicrotask(() => this.#refocus()); // once the elements within are up to date, too
  }

  /** Focus doesn't get lost with what had it. */
  #refocus() {
    const { focused } = this;
    if (!focused || focused.isConnected || document.activeElement !== document.body) return;
    const isOfQueue = focused.matches(".item, .queue-tools *");
    const places = [...(isOfQueue ? ['.item[tabindex="0"]'] : []), ".stage", ".start button"];
    this.querySelector(places.find((place) => this.querySelector(place)))?.focus();
  }

  get viewer() {
    return this.querySelector("picture-viewer");
  }

  render() {
    const { session } = this;
    return html`
      ${this.#header()}
      <main class=${session.picture ? "has-picture" : ""}>
        ${session.picture ? this.#stage() : this.#empty()}
        ${
          session.action
            ? html`<run-panel
                id="panel"
                role="tabpanel"
                aria-labelledby="tab-${session.action.name}"
                .session=${session}
                @compare=${() => this.querySelector("model-comparison").open()}
              ></run-panel>`
            : nothing
        }
      </main>
      <queue-bar
        .session=${session}
        @choose-files=${() => this.chooseFiles()}
        @choose-folder=${() => this.querySelector("#folder").click()}
        @start-all=${() => this.querySelector("run-panel").startAll()}
      ></queue-bar>
      ${this.#inputs()}
      <help-dialog></help-dialog>
      <key-dialog
        ?open=${session.needsKey}
        .problem=${session.needsKey && api.key.get() ? text.key.wrong : null}
        @key-set=${(e) => session.useKey(e.detail)}
      ></key-dialog>
      <model-comparison .session=${session}></model-comparison>
      ${this.isDropping ? html`<div class="dropping">${text.start.dropping}</div>` : nothing}
    `;
  }

  #header() {
    const { session } = this;
    return html`<header>
        <h1><a href="/">${MARK}${text.name}</a></h1>
        <div class="tabs" role="tablist" aria-label=${text.tabs} @keydown=${this.#tabKey}>
          ${session.actions.map((action) => this.#tab(action))}
        </div>
        <button class="quiet" @click=${() => this.help()} aria-label=${text.help.open}>?</button>
      </header>
      <div class="notice" role="status">${this.#notice()}</div>`;
  }

  #notice() {
    const { notice, queue, isUnkept } = this.session;
    const words = queue.isAway ? text.errors.away : (notice ?? (isUnkept && text.errors.shelf));
    return words ? html`<p>${words}</p>` : nothing;
  }

  #tab({ name }) {
    const isChosen = name === this.session.action.name;
    return html`<button
      role="tab"
      id="tab-${name}"
      aria-selected=${isChosen}
      aria-controls="panel"
      tabindex=${isChosen ? 0 : -1}
      @click=${() => this.session.choose(name)}
    >
      ${text.action(name).name}
    </button>`;
  }

  #tabKey(event) {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!by) return;
    event.preventDefault();
    event.stopPropagation();
    const { actions, action } = this.session;
    const next = actions[(actions.indexOf(action) + by + actions.length) % actions.length];
    this.session.choose(next.name);
    this.updateComplete.then(() => this.querySelector(`#tab-${next.name}`).focus());
  }

  #stage() {
    const { shown, picture, settings, drawing, isDrawing, regions } = this.session;
    return html`<picture-viewer
      .before=${shown.before}
      .after=${shown.after}
      .name=${picture.name}
      .isMoving=${picture.frames > 1}
      .ground=${settings.ground}
      .colour=${settings.colour}
      .tool=${isDrawing ? drawing : null}
      .overlay=${overlay(this.session, drawing, regions)}
      @ground-change=${(event) => this.session.setGround(event.detail)}
    ></picture-viewer>`;
  }

  #empty() {
    return html`<start-screen
      @choose-files=${() => this.chooseFiles()}
      @choose-folder=${() => this.querySelector("#folder").click()}
      @sample=${(event) => this.session.addSample(event.detail)}
    ></start-screen>`;
  }

  #inputs() {
    const chosen = ({ target }) => {
      this.session.add(listed(target.files));
      target.value = "";
    };
    return html`
      <input
        id="files"
        type="file"
        multiple
        accept="image/*,.jxl,.heic,.tga,.qoi"
        hidden
        @change=${chosen}
      />
      <input id="folder" type="file" webkitdirectory multiple hidden @change=${chosen} />
    `;
  }

  chooseFiles() {
    this.querySelector("#files").click();
  }

  help() {
    this.querySelector("help-dialog").open();
  }

  #drag(event) {
    if (!event.dataTransfer.types.includes("Files")) return;
    event.preventDefault();
    this.isDropping = true;
  }

  async #drop(event) {
    if (!event.dataTransfer.types.includes("Files")) return;
    event.preventDefault();
    this.isDropping = false;
    await this.session.add(await transferred(event.dataTransfer));
  }

  async #paste(event) {
    if (!event.clipboardData.files.length) return;
    event.preventDefault();
    await this.session.add(await transferred(event.clipboardData));
  }
}

const MARK = html`<svg viewBox="0 0 24 24" width="22" height="22" aria-hidden="true">
  <rect x="2" y="2" width="20" height="20" rx="5" fill="var(--accent)" />
  <path d="M6 17c3-8 6-11 12-11-2 6-5 9-12 11z" fill="var(--on-accent)" />
</svg>`;

customElements.define("sakuga-app", App);

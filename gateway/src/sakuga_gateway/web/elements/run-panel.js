/** <run-panel>: the controls of the action, the start, and what became of the picture. */

import { html, live, nothing, repeat } from "../vendor/lit.js";
import { canCopy, copy, save } from "../files.js";
import { resultName } from "../names.js";
import { resultSize, set } from "../options.js";
import { isActive, isOpen } from "../queue.js";
import { foreseen } from "../speed.js";
import { capital, text } from "../text.js";
import "./code-lines.js";
import { SessionElement } from "./element.js";
import { progressOf, stateOf } from "./queue-list.js";
import "./retouch-tools.js";

/** @fires compare */
export class RunPanel extends SessionElement {
  static properties = { isCopied: { state: true } };

  render() {
    const { session } = this;
    const { action, picture, values } = session;
    return html`
      ${this.#outcome(picture)}
      ${repeat(
        [action],
        ({ name }) => name,
        () =>
          html`<option-controls
            .action=${action}
            .models=${session.choices}
            .usual=${session.usualModel}
            .values=${values}
            @option-change=${(event) => session.put(event.detail.name, event.detail.value)}
          ></option-controls>`,
      )}
      ${session.choices.length || !session.models ? nothing : html`<p class="problem">${text.errors.noModels}</p>`}
      ${session.drawing ? html`<retouch-tools .session=${session}></retouch-tools>` : nothing}
      <p class="buttons">
        ${
          picture?.width
            ? html`<button @click=${() => this.tell("compare")}>${text.compare.open}</button>`
            : nothing
        }
        ${
          Object.keys(values).length
            ? html`<button class="quiet" @click=${() => session.take({})}>
                ${text.options.reset}
              </button>`
            : nothing
        }
      </p>
      <code-lines .action=${action} .options=${this.#shown()} .picture=${picture}></code-lines>
    `;
  }

  updated() {
    const { name } = this.session.action;
    if (this.shownAction !== name) this.scrollTop = 0; // the start is at the top
    this.shownAction = name;
  }

  /** The options of the code: what was drawn stands there as a file. */
  #shown() {
    const { drawing, given } = this.session;
    const drawn = drawing && !drawing.isEmpty ? { [drawing.mask.option]: new Blob() } : {};
    return set({ ...given, ...drawn });
  }

  /** The start, or how far it is, and the result. */
  #outcome(picture) {
    const isRunning = picture && isOpen(picture);
    const { isPaused } = this.session.queue;
    return html`<div class="outcome">
      ${this.#button(picture, isRunning)}
      <p class="foreseen">${isRunning ? stateOf(picture, isPaused) : this.#foreseen(picture)}</p>
      <p class="unseen" role="status">${text.run.now(picture?.state)}</p>
      ${picture && isActive(picture) ? progressOf(picture) : nothing}
      ${picture?.problem ? this.#problem(picture) : nothing} ${this.#lost()}
      ${picture?.result ? this.#result(picture) : nothing}
    </div>`;
  }

  /** One button, which keeps the focus while its meaning changes. */
  #button(picture, isRunning) {
    const { session } = this;
    const words = text.action(session.action.name);
    const isAgain = picture?.result && picture.done.action === session.action.name;
    return html`<button
      class="large ${isRunning ? "" : "primary"}"
      ?disabled=${!picture}
      @click=${(event) => event.detail < 2 && (isRunning ? session.queue.cancel(picture) : this.start())}
    >
      ${isRunning ? text.run.cancel : isAgain ? words.again : words.run}
    </button>`;
  }

  /** What is wrong with a result that was there. */
  #lost() {
    const { error } = this.session.shown;
    return error ? html`<p class="problem" role="alert">${error}</p>` : nothing;
  }

  /** Starts the picture, unless a control has a value that isn't allowed. */
  start() {
    if (this.#isValid()) this.session.start();
  }

  startAll() {
    if (this.#isValid()) this.session.startAll();
  }

  #isValid() {
    const wrong = this.querySelector("option-controls :invalid");
    wrong?.closest("details")?.setAttribute("open", "");
    return wrong?.reportValidity() ?? true;
  }

  /** As the controls are now, or, if the action is another one, as before. */
  #retry(picture) {
    if (picture.action === this.session.action.name) this.start();
    else this.session.queue.retry(picture);
  }

  #problem(picture) {
    const { kind, detail } = picture.problem;
    const advice = text.errors.advice[kind];
    return html`<p class="problem" role="alert">
        ${detail}${advice ? html` <span class="advice">${advice}</span>` : nothing}
      </p>
      <p class="buttons">
        <button @click=${() => this.#retry(picture)}>${text.run.retry}</button>
      </p>`;
  }

  #foreseen(picture) {
    const { action, values, model } = this.session;
    if (!picture?.width) return nothing;
    const { width, height } = picture;
    const [w, h] = resultSize(action, values, model, width, height);
    const seconds = foreseen(action, model?.name, values, picture);
    const memory = model?.memory && 1e6 * model.memory + 4 * (width * height + w * h);
    const parts = [
      text.run.foreseen(text.size(width, height), text.size(w, h)),
      ...(memory ? [text.run.memory(text.bytes(memory))] : []), // known once the network is loaded
      seconds === null ? text.run.unknown : text.run.takes(seconds),
    ];
    return parts.join(" · ");
  }

  #result({ result, done }) {
    const { actions, shown } = this.session;
    return html`<section class="result" aria-label=${text.result.title}>
      <h2>${capital(text.action(done.action).done)}</h2>
      ${result.report ? reportOf(result.report) : nothing}
      <p class="buttons">
        <button class="primary" ?disabled=${!shown.file} @click=${() => this.download()}>
          ${text.result.download}
        </button>
        ${
          canCopy()
            ? html`<button ?disabled=${!shown.file} @click=${() => this.copy()}>
                ${this.isCopied ? text.result.copied : text.result.copy}
              </button>`
            : nothing
        }
        <select
          aria-label=${text.result.sendTo}
          ?disabled=${!shown.file}
          .value=${live("")}
          @change=${({ target }) => this.session.sendTo(target.value)}
        >
          <option value="" disabled>${text.result.sendTo}</option>
          ${actions.map(({ name }) => html`<option value=${name}>${text.action(name).name}</option>`)}
        </select>
      </p>
    </section>`;
  }

  download() {
    const { picture, shown } = this.session;
    if (shown.file) save(shown.file, resultName(picture));
  }

  async copy() {
    const { file } = this.session.shown;
    if (!file || !canCopy()) return;
    try {
      await copy(file);
    } catch {
      return this.session.say(text.errors.copy);
    }
    this.isCopied = true;
    setTimeout(() => (this.isCopied = false), 2000);
  }
}

/** What a result is, and what happened to it, in words. */
function reportOf(report) {
  const notes = [...(report.warnings ?? []), ...(report.notes ?? [])];
  return html`<p class="report">${text.result.line(report)}</p>
    ${report.regions ? html`<p class="report">${text.result.regions(report.regions.length)}</p>` : nothing}
    ${
      notes.length
        ? html`<ul class="notes">
            ${notes.map((note) => html`<li>${note}</li>`)}
          </ul>`
        : nothing
    }`;
}

customElements.define("run-panel", RunPanel);

/** <queue-bar>: the queue at the foot of the page, with what can be done to all of it. */

import { html, nothing } from "../vendor/lit.js";
import { save, zipped } from "../files.js";
import { clean } from "../names.js";
import { text } from "../text.js";
import { SessionElement } from "./element.js";
import { countsOf } from "./queue-list.js";

/** @fires choose-files, choose-folder, start-all */
export class QueueBar extends SessionElement {
  static properties = { isZipping: { state: true } };

  render() {
    const { queue } = this.session;
    if (!queue.pictures.length) return nothing;
    return html`<section class="queue-bar" aria-label=${text.queue.label}>
      ${this.#tools()}
      <queue-list .session=${this.session}></queue-list>
    </section>`;
  }

  #tools() {
    const { session } = this;
    const { queue } = session;
    const counts = countsOf(queue.pictures);
    const startable = session.startable.length;
    return html`<div class="queue-tools" role="toolbar" aria-label=${text.queue.label}>
      <button @click=${() => this.tell("choose-files")}>${text.queue.add}</button>
      <button @click=${() => this.tell("choose-folder")}>${text.queue.folder}</button>
      ${
        startable > 1 && session.action
          ? html`<button
              class=${counts.done ? "" : "primary"}
              @click=${() => this.tell("start-all")}
            >
              ${text.queue.startAll(startable)}
            </button>`
          : nothing
      }
      ${
        counts.open || queue.isPaused
          ? html`<button @click=${() => queue.pause(!queue.isPaused)}>
              ${queue.isPaused ? text.queue.resume : text.queue.pause}
            </button>`
          : nothing
      }
      ${
        counts.done > 1
          ? html`<button aria-disabled=${Boolean(this.isZipping)} @click=${this.zip}>
              ${this.isZipping ? text.queue.zipping : text.queue.zip(counts.done)}
            </button>`
          : nothing
      }
      <span class="counts" role="status">${text.queue.counts(counts)}</span>
      ${this.#selected()}
      <button class="quiet" @click=${() => this.#clear()}>${text.queue.clear}</button>
    </div>`;
  }

  /** What can be done to the picture that is shown, also by touch. */
  #selected() {
    const { queue, picture } = this.session;
    if (!picture) return nothing;
    const index = queue.pictures.indexOf(picture);
    return html`${this.#mover(-1, text.queue.earlier, "←", index === 0)}
      ${this.#mover(1, text.queue.later, "→", index === queue.pictures.length - 1)}
      <button class="quiet" @click=${() => this.session.remove(picture)}>
        ${text.queue.remove}
      </button>`;
  }

  #mover(by, words, sign, isOff) {
    const { queue, picture } = this.session;
    return html`<button
      class="quiet"
      aria-label=${words}
      title=${words}
      aria-disabled=${isOff}
      @click=${() => isOff || queue.move(picture, by)}
    >
      ${sign}
    </button>`;
  }

  #clear() {
    if (confirm(text.queue.sure)) this.session.clear();
  }

  /** Saves all results as one zip. */
  async zip() {
    if (this.isZipping) return;
    this.isZipping = true;
    try {
      const { queue } = this.session;
      const pictures = queue.pictures.filter(({ result }) => result);
      const lost = [];
      const get = async (picture) => {
        const file = queue.pictures.includes(picture) ? await queue.result(picture) : null;
        if (!file) lost.push(clean(picture.name));
        return file;
      };
      const zip = await zipped(pictures, get);
      if (lost.length < pictures.length) save(zip, text.queue.zipName);
      this.session.say(lost.length ? text.queue.lost(lost) : null);
    } catch (problem) {
      this.session.say(problem.message);
    }
    this.isZipping = false;
  }
}

customElements.define("queue-bar", QueueBar);

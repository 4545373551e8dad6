/** <queue-list>: the pictures of the queue, each with its state. */

import { html, nothing, repeat } from "../vendor/lit.js";
import { clean } from "../names.js";
import { isActive, isOpen } from "../queue.js";
import { text } from "../text.js";
import { left } from "../speed.js";
import { SessionElement } from "./element.js";

export class QueueList extends SessionElement {
  thumbnails = new Map(); // URLs by id

  render() {
    const { pictures } = this.session.queue;
    this.#forget(pictures);
    return html`<ol
      class="queue"
      role="listbox"
      aria-label=${text.queue.label}
      @keydown=${this.#key}
    >
      ${repeat(pictures, ({ id }) => id, this.#item)}
    </ol>`;
  }

  updated() {
    const { id } = this.session.shown;
    if (id !== this.selected) {
      const item = this.querySelector(".is-selected");
      item?.scrollIntoView({ block: "nearest", inline: "nearest" });
    }
    this.selected = id;
  }

  #item = (picture) => {
    const { id, state, name, folder } = picture;
    const isSelected = id === this.session.shown.id;
    const shown = clean(name) || text.queue.unnamed;
    return html`<li
      class="item ${state} ${isSelected ? "is-selected" : ""}"
      role="option"
      aria-selected=${isSelected}
      tabindex=${isSelected ? 0 : -1}
      draggable="true"
      title=${folder ? `${clean(folder)}/${shown}` : shown}
      @click=${() => this.session.show(picture)}
      @dragstart=${(event) => this.#drag(event, picture)}
      @dragend=${() => (this.dragged = null)}
      @dragover=${(event) => this.dragged && event.preventDefault()}
      @drop=${(event) => this.#drop(event, picture)}
    >
      ${this.#thumbnail(picture)}
      <span class="name" dir="auto">${shown}</span>
      ${folder ? html`<span class="folder" dir="auto">${clean(folder)}</span>` : nothing}
      <span class="state">${stateOf(picture, this.session.queue.isPaused)}</span>
      ${isActive(picture) ? progressOf(picture) : nothing}
    </li>`;
  };

  #thumbnail(picture) {
    if (!picture.thumbnail) return html`<span class="thumbnail" aria-hidden="true"></span>`;
    if (!this.thumbnails.has(picture.id)) {
      this.thumbnails.set(picture.id, URL.createObjectURL(picture.thumbnail));
    }
    return html`<img
      class="thumbnail"
      alt=""
      src=${this.thumbnails.get(picture.id)}
      draggable="false"
    />`;
  }

  /** Lets go of thumbnails whose pictures have gone. */
  #forget(pictures) {
    const present = new Set(pictures.map(({ id }) => id));
    for (const [id, url] of this.thumbnails) {
      if (present.has(id)) continue;
      URL.revokeObjectURL(url);
      this.thumbnails.delete(id);
    }
  }

  #drag(event, picture) {
    this.dragged = picture;
    event.dataTransfer.effectAllowed = "move";
    event.dataTransfer.setData("text/plain", picture.id);
  }

  #drop(event, target) {
    if (!this.dragged) return;
    event.preventDefault();
    event.stopPropagation();
    const { queue } = this.session;
    const { pictures } = queue;
    queue.move(this.dragged, pictures.indexOf(target) - pictures.indexOf(this.dragged));
    this.dragged = null;
  }

  #key(event) {
    const { queue, picture } = this.session;
    const { pictures } = queue;
    const index = pictures.indexOf(picture);
    const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!by || index < 0) return;
    event.preventDefault();
    event.stopPropagation();
    if (event.altKey) queue.move(picture, by);
    else if (pictures[index + by]) this.session.show(pictures[index + by]);
    this.updateComplete.then(() => this.querySelector('[tabindex="0"]')?.focus());
  }
}

/** The state of a picture in a few words. */
export function stateOf(picture, isPaused) {
  if (picture.state === "waiting" && isPaused) return text.queue.paused;
  if (picture.note && isActive(picture)) return picture.note;
  if (picture.state === "queued" && picture.place) return text.queue.place(picture.place);
  if (picture.state === "running" && picture.progress) {
    const { done, total, unit } = picture.progress;
    const rest = left(picture);
    return text.queue.progress(done, total, unit, rest === null ? "" : text.duration(rest));
  }
  return text.queue.states[picture.state];
}

/** The bar of a picture in work. */
export function progressOf({ progress }) {
  return html`<progress
    max=${progress?.total ?? nothing}
    value=${progress?.done ?? nothing}
    aria-label=${text.queue.progressBar}
  ></progress>`;
}

export const countsOf = (pictures) => ({
  all: pictures.length,
  done: pictures.filter(({ state }) => state === "succeeded").length,
  open: pictures.filter(isOpen).length,
});

customElements.define("queue-list", QueueList);

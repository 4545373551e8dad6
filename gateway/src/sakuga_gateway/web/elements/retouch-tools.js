/** <retouch-tools>: brush and lasso for the mask of an action, and the damage that was found. */

import { html, live, nothing } from "../vendor/lit.js";
import { save } from "../files.js";
import { text } from "../text.js";
import { placed } from "../view.js";
import { SessionElement } from "./element.js";

export class RetouchTools extends SessionElement {
  render() {
    const { session } = this;
    const { isDrawing, drawing, regions } = session;
    if (!drawing) return nothing;
    const name = session.action.name;
    const isAnything = !drawing.isEmpty || regions?.length;
    return html`<section class="retouch" aria-labelledby="retouch-title">
      <h2 id="retouch-title">${text.retouch.title[name]}</h2>
      <p class="help">${text.retouch.help[name]}</p>
      <p class="buttons">
        <button aria-pressed=${isDrawing} @click=${() => session.toggleDrawing()}>
          ${isDrawing ? text.retouch.stop : text.retouch.start}
        </button>
        ${name === "fix_artifacts" ? this.#finder() : nothing}
      </p>
      ${isDrawing ? this.#tools() : nothing}
      ${isDrawing || !drawing.isEmpty ? this.#drawn() : nothing}
      ${regions ? this.#regions() : nothing}
      ${isAnything && session.shown.after ? this.#shower() : nothing}
    </section>`;
  }

  updated() {
    const { isDrawing } = this.session;
    if (isDrawing && !this.wasDrawing) this.scrollIntoView({ block: "nearest" });
    this.wasDrawing = isDrawing;
  }

  /** The result is seen without what was drawn over the picture. */
  #shower() {
    const { session } = this;
    return html`<label class="check">
      <input
        type="checkbox"
        .checked=${live(session.isDrawingShown)}
        @change=${({ target }) => session.showDrawing(target.checked)}
      />
      ${text.retouch.show}
    </label>`;
  }

  #finder() {
    const { session } = this;
    const isBusy = session.finding !== null;
    return html`<button aria-disabled=${isBusy} @click=${() => isBusy || session.findDamage()}>
      ${session.finding ? text.retouch.finding : text.retouch.find}
    </button>`;
  }

  #tools() {
    const { drawing } = this.session;
    const modes = [...Object.keys(drawing.mask.values), "erase"];
    return html`
      ${this.#choice("shape", ["brush", "lasso"], text.retouch.shapes)}
      ${this.#choice("mode", modes, text.retouch.modes)}
      <label class="range">
        ${text.retouch.radius}
        <input
          type="range"
          min="1"
          max=${Math.max(16, Math.round(Math.max(drawing.width, drawing.height) / 6))}
          .value=${String(drawing.radius)}
          @input=${({ target }) => (drawing.radius = Number(target.value))}
        />
      </label>
    `;
  }

  #drawn() {
    const { drawing } = this.session;
    return html`<p class="buttons">
      <button ?disabled=${!drawing.canUndo} @click=${() => drawing.undo()}>
        ${text.retouch.undo}
      </button>
      <button ?disabled=${!drawing.canRedo} @click=${() => drawing.redo()}>
        ${text.retouch.redo}
      </button>
      <button ?disabled=${drawing.isEmpty} @click=${() => drawing.clear()}>
        ${text.retouch.clear}
      </button>
      <button
        ?disabled=${drawing.isEmpty}
        @click=${async () => save(await drawing.file(), "mask.png")}
      >
        ${text.retouch.save}
      </button>
    </p>`;
  }

  #choice(property, names, words) {
    const { session } = this;
    const choose = (name) => {
      session.drawing[property] = name;
      session.changed();
    };
    return html`<div class="segments" role="group" aria-label=${text.retouch[property]}>
      ${names.map(
        (name) =>
          html`<button
            aria-pressed=${session.drawing[property] === name}
            @click=${() => choose(name)}
          >
            ${words[name]}
          </button>`,
      )}
    </div>`;
  }

  #regions() {
    const { session } = this;
    if (!session.regions.length) return html`<p class="help">${text.retouch.nothing}</p>`;
    const all = (isTicked) => session.regions.forEach((entry) => session.tick(entry, isTicked));
    return html`<fieldset class="regions">
      <legend>${text.retouch.regions}</legend>
      <p>${text.result.regions(session.regions.length)}</p>
      <p class="buttons">
        <button @click=${() => all(true)}>${text.retouch.all}</button>
        <button @click=${() => all(false)}>${text.retouch.none}</button>
      </p>
    </fieldset>`;
  }
}

/** What lies on the picture: the drawing, and a box for each damaged region. */
export function overlay(session, drawing, regions) {
  if (!drawing || (drawing.isEmpty && !session.isDrawing && !regions)) return null;
  if (session.shown.after && !session.isDrawingShown) return null;
  return html`${drawing.canvas}${(regions ?? []).map((entry) => box(session, drawing, entry))}`;
}

function box(session, { width, height }, entry) {
  const [x, y, w, h] = entry.region.box;
  return html`<label
    class="region ${entry.isTicked ? "is-ticked" : ""}"
    .style=${placed({ x, y, width: w, height: h }, { width, height })}
    title=${text.retouch.region(entry.region)}
  >
    <input
      type="checkbox"
      aria-label=${text.retouch.region(entry.region)}
      .checked=${entry.isTicked}
      @change=${({ target }) => session.tick(entry, target.checked)}
    />
  </label>`;
}

customElements.define("retouch-tools", RetouchTools);

/** <option-controls>: a control for each option of an action, made from its JSON Schema. */

import { html, live, nothing } from "../vendor/lit.js";
import { defaultScale, described } from "../options.js";
import { text } from "../text.js";
import { Element } from "./element.js";

/**
 * @prop {object} action of the gateway's list.
 * @prop {object[]} models the networks that may be chosen.
 * @prop {string} usual the network that is taken where none is chosen.
 * @prop {object} values by option; what is missing is the server's choice.
 * @fires option-change {name, value}; the value null takes it back.
 */
export class Controls extends Element {
  static properties = {
    action: { attribute: false },
    models: { attribute: false },
    usual: {},
    values: { attribute: false },
  };

  render() {
    const options = this.#options();
    const rest = options.filter((option) => !option.isFirst);
    const changed = rest.filter(({ name }) => this.values[name] != null).length;
    return html`
      <div class="options">${options.filter((option) => option.isFirst).map(this.#row)}</div>
      <details class="more">
        <summary>${text.options.more} ${changed ? html`<b>${changed}</b>` : nothing}</summary>
        <div class="options">${rest.map(this.#row)}</div>
      </details>
    `;
  }

  /** The options; denoise levels of networks that have some, and those alone. */
  #options() {
    const levels = Object.values(this.#model()?.denoise_levels ?? {}).flat();
    return described(this.action)
      .map((option) =>
        option.name === "denoise_level"
          ? { ...option, allowed: option.allowed.filter((level) => levels.includes(level)) }
          : option,
      )
      .filter(({ name, allowed }) => name !== "denoise_level" || allowed.length);
  }

  #row = (option) => {
    const id = `option-${option.name}`;
    const help = `${id}-help`;
    const value = this.values[option.name] ?? null;
    const control = CONTROLS[option.kind](
      option,
      value,
      { id, help, put: this.#put(option) },
      this,
    );
    return html`<div class="option ${option.kind} ${value === null ? "" : "is-set"}">
      <label for=${id}>${text.options.label(option.name)}</label>
      ${control}
      <p id=${help} class="help">${this.#help(option)}</p>
    </div>`;
  };

  /** Of a model what it is good at; else what the schema says. */
  #help({ kind, description }) {
    if (kind !== "model") return description;
    const { action, models } = this;
    const title = this.#model()?.title ?? "";
    const isMissing = models.length && !models.some(({ name }) => name === action.model);
    return isMissing ? text.options.missing(title, action.model) : title;
  }

  #model() {
    const name = this.values.model ?? this.usual;
    return this.models.find((model) => model.name === name);
  }

  /** What an option is where nothing is set: its default, or the network's. */
  automatic({ name, fallback }) {
    const usual = name === "scale" ? defaultScale(this.action, this.#model()) : fallback;
    return usual ?? text.options.automatic;
  }

  #put = (option) => (value) => this.tell("option-change", { name: option.name, value });
}

/** What a person is just typing into a control, which nothing overwrites. */
const typed = (id) => (document.activeElement?.id === id ? document.activeElement.value : null);

const CONTROLS = {
  model(option, value, { id, help, put }, { action, models, usual }) {
    const isUsual = value === null || value === usual;
    // One that was chosen, and is no longer installed, is shown all the same.
    const isGone = !isUsual && !models.some(({ name }) => name === value);
    const listed = isGone ? [...models, { name: value, title: "" }] : models;
    const others = listed.filter(({ name }) => name !== usual);
    return html`<select
      id=${id}
      aria-describedby=${help}
      @change=${({ target }) => put(target.value === usual ? null : target.value)}
    >
      <option value=${usual} .selected=${live(isUsual)}>
        ${usual === action.model ? text.options.usual(usual) : usual}
      </option>
      ${others.map(
        ({ name, title }) =>
          html`<option value=${name} title=${title} .selected=${live(value === name)}>
            ${name}
          </option>`,
      )}
    </select>`;
  },

  choice(option, value, { id, help, put }) {
    const { fallback, allowed } = option;
    return html`<select
      id=${id}
      aria-describedby=${help}
      @change=${(e) => put(e.target.value || null)}
    >
      <option value="" .selected=${live(value === null)}>
        ${text.options.usual(fallback && text.options.value(fallback), option.name)}
      </option>
      ${allowed
        .filter((each) => each !== fallback)
        .map(
          (each) =>
            html`<option value=${each} .selected=${live(value === each)}>
              ${text.options.value(each, option.name)}
            </option>`,
        )}
    </select>`;
  },

  switch(option, value, { id, help, put }) {
    if (option.isOpen) return openSwitch(value, { id, help, put });
    const change = (event) =>
      put(event.target.checked === option.fallback ? null : event.target.checked);
    return html`<input
      id=${id}
      type="checkbox"
      role="switch"
      aria-describedby=${help}
      .checked=${live(value ?? option.fallback)}
      @change=${change}
    />`;
  },

  number(option, value, { id, help, put }, controls) {
    const { least, most, isWhole } = option;
    const change = ({ target }) => {
      const isValid = target.reportValidity();
      target.setAttribute("aria-invalid", String(!isValid));
      if (isValid) put(target.value === "" ? null : Number(target.value));
    };
    return html`<input
      id=${id}
      type="number"
      inputmode="decimal"
      aria-describedby=${help}
      min=${least ?? nothing}
      max=${most ?? nothing}
      step=${isWhole ? 1 : "any"}
      placeholder=${controls.automatic(option)}
      .value=${live(typed(id) ?? String(value ?? ""))}
      @change=${change}
    />`;
  },

  colour(option, value, { id, help, put }) {
    return html`<span class="colour-choice">
      <input
        type="checkbox"
        aria-label=${text.options.use(option.name)}
        .checked=${live(value !== null)}
        @change=${(event) => put(event.target.checked ? "#ffffff" : null)}
      />
      <input
        id=${id}
        type="color"
        aria-describedby=${help}
        ?disabled=${value === null}
        .value=${live(value ?? "#ffffff")}
        @input=${(event) => put(event.target.value)}
      />
    </span>`;
  },

  text(option, value, { id, help, put }) {
    return html`<input
      id=${id}
      type="text"
      aria-describedby=${help}
      .value=${live(typed(id) ?? value ?? "")}
      @change=${(event) => put(event.target.value || null)}
    />`;
  },
};

/** Yes, no, or as the server chooses. */
function openSwitch(value, { id, help, put }) {
  const change = ({ target }) => put({ yes: true, no: false }[target.value] ?? null);
  return html`<select id=${id} aria-describedby=${help} @change=${change}>
    <option value="" .selected=${live(value === null)}>${text.options.automatic}</option>
    <option value="yes" .selected=${live(value === true)}>${text.options.yes}</option>
    <option value="no" .selected=${live(value === false)}>${text.options.no}</option>
  </select>`;
}

customElements.define("option-controls", Controls);

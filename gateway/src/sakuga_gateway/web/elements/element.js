import { LitElement } from "../vendor/lit.js";

/** An element in the page's own tree, so that one stylesheet holds for all. */
export class Element extends LitElement {
  createRenderRoot() {
    return this;
  }

  /** Tells those around it of something. */
  tell(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail, bubbles: true }));
  }
}

/** An element that shows the session, and follows its changes.
 *
 * @prop {object} session
 */
export class SessionElement extends Element {
  static properties = { session: { attribute: false } };

  #follow = () => this.requestUpdate();

  connectedCallback() {
    super.connectedCallback();
    this.session.addEventListener("change", this.#follow);
  }

  disconnectedCallback() {
    super.disconnectedCallback();
    this.session.removeEventListener("change", this.#follow);
  }
}

/* Where something is written: as a reply or as a note, each with its own text, kept until it has arrived. */

import { Notice, busy } from "./parts.js";
import { h } from "./shared/dom.js";

let made = 0;

export class Composer {
  /** `kinds`: {id, label, button, keptAs, send(text)} each; the first is shown first. */
  constructor(desk, kinds, { extra = null } = {}) {
    Object.assign(this, { desk, kinds });
    const group = `composer-${(made += 1)}`;
    this.notice = new Notice();
    this.text = h("textarea", { rows: "3", maxLength: 8000, onkeydown: (event) => this.#key(event), oninput: () => this.#keep() });
    this.button = h("button", { type: "submit", class: "button primary" });
    this.why = h("p", { class: "soft why", hidden: true });
    this.tabs = kinds.map((kind) => {
      const box = h("input", { type: "radio", name: group, id: `${group}-${kind.id}`, onchange: () => this.choose(kind.id) });
      return { ...kind, box, open: true, why: "", node: h("span", { class: "tab" }, box, h("label", { for: box.id }, kind.label)) };
    });
    this.node = h("form", { class: "composer", onsubmit: (event) => this.#submit(event) },
      h("div", { class: "tabs", role: "radiogroup", "aria-label": "What to write" }, ...this.tabs.map(({ node }) => node)), this.why, this.text, this.notice.node,
      h("div", { class: "actions" }, this.button, extra, h("span", { class: "hint" }, "Ctrl + Enter sends")));
    this.choose(kinds[0].id);
  }

  choose(id) {
    this.chosen = this.tabs.find((tab) => tab.id === id);
    this.chosen.box.checked = true;
    this.text.value = this.desk.kept.get(this.chosen.keptAs);
    this.text.setAttribute("aria-label", this.chosen.label);
    this.node.dataset.kind = id;
    this.#show();
  }

  /** Whether a kind can be sent now, else why not; what is written of it stays to be read and copied. */
  allow(id, open, why = "", button = "") {
    const tab = this.tabs.find((each) => each.id === id);
    Object.assign(tab, { open, why: open ? "" : why, button: button || tab.button });
    this.#show();
  }

  #show() {
    const { open, why, button } = this.chosen;
    this.button.textContent = button;
    this.button.hidden = !open;
    this.why.hidden = open;
    this.why.textContent = why || "";
    this.text.readOnly = !open;
    this.text.hidden = !open && !this.text.value;
  }

  #keep() {
    this.desk.kept.set(this.chosen.keptAs, this.text.value);
  }

  async #submit(event) {
    event.preventDefault();
    const { keptAs, send, open } = this.chosen;
    const text = this.text.value.trim();
    if (!open) return;
    if (!text) {
      this.text.focus();
      return;
    }
    const went = await busy(this.button, () => send(text), this.notice);
    if (!went) return;
    if (this.desk.kept.get(keptAs).trim() === text) this.desk.kept.set(keptAs, ""); // what was written since stays
    if (this.chosen.keptAs === keptAs) this.text.value = this.desk.kept.get(keptAs);
    this.#show();
    this.text.focus();
  }

  #key(event) {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !event.isComposing) {
      event.preventDefault();
      this.node.requestSubmit();
    }
  }
}

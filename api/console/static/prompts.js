/* Prompts: the library and our own, their versions, and which one answers. For admins, who alone may change them. */

import { Rows, Split, badge, empty, failed, loading } from "./parts.js";
import { PromptView } from "./prompt.js";
import { h } from "./shared/dom.js";

export class Prompts {
  #open = null;
  #turn = 0;

  constructor(desk) {
    this.desk = desk;
    this.own = new Rows("Ours", { make: (prompt) => this.#row(prompt) });
    this.library = new Rows("The library", { make: (prompt) => this.#row(prompt) });
    this.state = h("div", {}, loading());
    this.groups = [["Ours", this.own], ["The library", this.library]].map(([title, rows]) => h("section", { class: "group", hidden: true }, h("h2", {}, title), rows.node));
    this.split = new Split("#/prompts", h("h2", { class: "big" }, "Prompts"), this.state, ...this.groups);
    this.node = this.split.node;
    this.read();
  }

  show([id = null]) {
    if (this.#open && this.#open.id === id) return;
    this.#open = id ? new PromptView(this.desk, id, () => this.read()) : null;
    this.split.show(this.#open?.node ?? empty("No prompt is open.", "Choose one. One of the library's is copied before it is changed."), id);
  }

  async read() {
    const turn = (this.#turn += 1);
    try {
      const items = await this.desk.api.readAll("/prompts");
      if (turn !== this.#turn) return;
      const parts = [items.filter((prompt) => !prompt.is_global), items.filter((prompt) => prompt.is_global)];
      [this.own, this.library].forEach((rows, index) => {
        rows.show(parts[index]);
        this.groups[index].hidden = !parts[index].length;
      });
      this.state.replaceChildren(...(items.length ? [] : [empty("There is no prompt yet.", "The built-in one answers. `helpdesk seed` brings the library.")]));
      this.split.mark();
    } catch (error) {
      if (turn === this.#turn) this.state.replaceChildren(failed(error, () => this.read()));
    }
  }

  #row(prompt) {
    return h("a", { href: `#/prompts/${prompt.id}` }, h("span", { class: "line" }, h("span", { class: "strong", dir: "auto" }, prompt.name), h("span", { class: "side-note" }, `version ${prompt.versions}`)),
      prompt.description ? h("span", { class: "summary", dir: "auto" }, prompt.description) : null,
      h("span", { class: "badges" }, prompt.in_force ? badge("Answers now", "good") : null, prompt.active_version && !prompt.in_force ? badge(prompt.is_global ? "The default" : `Version ${prompt.active_version} is active`) : null));
  }
}

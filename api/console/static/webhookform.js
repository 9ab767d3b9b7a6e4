/* Where events are sent and which: of a new endpoint, or of one that there is. */

import { Notice, busy, check, choice, failed, field, loading } from "./parts.js";
import { h } from "./shared/dom.js";
import { name } from "./words.js";

const ALL = "*";

export class WebhookForm {
  /** Without `endpoint` a new one is made. `onSaved(endpoint)` has its secret only then. */
  constructor(desk, endpoint, { onSaved, onCancel }) {
    Object.assign(this, { desk, endpoint, onSaved });
    this.notice = new Notice();
    const of = endpoint ?? { url: "", description: "", events: [ALL] };
    this.url = h("input", { type: "url", value: of.url, required: true, maxLength: 2000, placeholder: "https://", autocomplete: "off", spellcheck: "false", dir: "ltr" });
    this.description = h("input", { type: "text", value: of.description, maxLength: 200, autocomplete: "off", dir: "auto" });
    this.wanted = new Set(of.events);
    this.some = h("div", { class: "kinds", hidden: this.#all }, loading());
    this.button = h("button", { type: "submit", class: "button primary" }, endpoint ? "Save" : "Add the endpoint");
    this.node = h("section", {},
      h("header", { class: "head" }, h("a", { class: "back", href: "#/webhooks" }, "‹ Webhooks"), h("h2", {}, endpoint ? "Change the endpoint" : "Add an endpoint")),
      h("div", { class: "sheet" }, h("form", { class: "card", onsubmit: (event) => this.#submit(event) },
        field("Address", this.url, "https, on a public host, port 443 or 8443."), field("Name", this.description, "For colleagues; may be empty."),
        choice("What is sent", [[ALL, "Every event"], ["some", "Some events"]], this.#all ? ALL : "some", (what) => this.#choose(what)), this.some, this.notice.node,
        h("div", { class: "actions" }, this.button, h("button", { type: "button", class: "button quiet", onclick: onCancel }, "Cancel")))));
    if (!this.#all) this.#readKinds();
  }

  get #all() {
    return this.wanted.has(ALL);
  }

  #choose(what) {
    this.wanted = new Set(what === ALL ? [ALL] : []);
    this.some.hidden = this.#all;
    if (!this.#all) this.#readKinds();
  }

  async #readKinds() {
    try {
      const { items } = await this.desk.api.read("/webhook-events");
      const groups = new Map();
      for (const kind of items) {
        const group = kind.name.split(".")[0];
        groups.set(group, [...(groups.get(group) ?? []), kind]);
      }
      this.some.replaceChildren(...[...groups].map(([group, kinds]) => h("fieldset", {}, h("legend", {}, name(group)), ...kinds.map((kind) => this.#kind(kind)))));
    } catch (error) {
      this.some.replaceChildren(failed(error, () => this.#readKinds()));
    }
  }

  #kind({ name: kind, tells }) {
    const onchange = (on) => (on ? this.wanted.add(kind) : this.wanted.delete(kind));
    return check(kind, { checked: this.wanted.has(kind), hint: tells, onchange }).node;
  }

  async #submit(event) {
    event.preventDefault();
    await busy(this.button, async () => {
      if (!this.wanted.size) throw new Error("Choose at least one event.");
      const said = { url: this.url.value.trim(), description: this.description.value.trim(), events: [...this.wanted] };
      const { api } = this.desk;
      this.onSaved(await (this.endpoint ? api.change("PATCH", `/webhooks/${this.endpoint.id}`, said) : api.post("/webhooks", said)));
    }, this.notice);
  }
}

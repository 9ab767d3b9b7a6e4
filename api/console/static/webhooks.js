/* Webhooks: which systems of ours hear of what happens here. For admins, who alone may change it. */

import { Rows, Split, badge, empty, failed, loading } from "./parts.js";
import { h } from "./shared/dom.js";
import { WebhookForm } from "./webhookform.js";
import { WebhookView, hostOf, state } from "./webhook.js";
import { plural } from "./words.js";

export class Webhooks {
  #open = null;
  #place = null;
  #turn = 0;
  #secrets = new Map(); // endpoint -> its secret, from when it was made until somebody has it

  constructor(desk) {
    this.desk = desk;
    this.rows = new Rows("Endpoints", { make: (endpoint) => this.#row(endpoint) });
    this.state = h("div", {}, loading());
    this.split = new Split("#/webhooks", h("h2", { class: "big" }, "Webhooks"),
      h("div", { class: "actions" }, h("a", { class: "button", href: "#/webhooks/new" }, "Add an endpoint")), this.state, this.rows.node);
    this.node = this.split.node;
    this.read();
  }

  show([id = null]) {
    if (this.#open && this.#place === id) return;
    this.#open?.end?.();
    this.#place = id;
    this.#open = this.#made(id);
    this.split.show(this.#open?.node ?? empty("No endpoint is open.", "Choose one, or add the address of a system that should hear of what happens here."), id);
  }

  hide() {
    this.#open?.end?.();
    this.#open = null;
  }

  end() {
    this.hide();
    this.#secrets.clear();
  }

  async read() {
    const turn = (this.#turn += 1);
    try {
      const endpoints = await this.desk.api.readAll("/webhooks");
      if (turn !== this.#turn) return;
      this.rows.show(endpoints);
      this.state.replaceChildren(...(endpoints.length ? [] : [empty("No system is told of anything yet.", "Add an https address: what happens here is then sent there, signed.")]));
      this.split.mark();
    } catch (error) {
      if (turn === this.#turn) this.state.replaceChildren(failed(error, () => this.read()));
    }
  }

  #made(id) {
    if (id === "new") return new WebhookForm(this.desk, null, { onSaved: (endpoint) => this.#added(endpoint), onCancel: () => (location.hash = "#/webhooks") });
    return id ? new WebhookView(this.desk, id, { secrets: this.#secrets, onChange: () => this.read() }) : null;
  }

  #added({ secret, id }) {
    this.#secrets.set(id, secret);
    this.read();
    location.hash = `#/webhooks/${id}`;
  }

  #row(endpoint) {
    const host = hostOf(endpoint.url);
    const all = endpoint.events.includes("*");
    return h("a", { href: `#/webhooks/${endpoint.id}` }, h("span", { class: "line" }, h("span", { class: "strong", dir: "auto" }, endpoint.description || host)),
      endpoint.description ? h("span", { class: "summary" }, host) : null,
      h("span", { class: "badges" }, state(endpoint), badge(all ? "All events" : plural(endpoint.events.length, "event"))));
  }
}

/* Pages over the chat: past conversations, and the customer's own tickets. */

import { h } from "./dom.js";
import { newKey } from "./api.js";
import { linked } from "./links.js";

export class Sheets {
  constructor(view, api, words, { choose, report }) {
    Object.assign(this, { view, api, words, choose, report });
  }

  t = (name, values) => this.words.t(name, values);

  async conversations() {
    await this.#open(this.t("past_conversations"), async () => {
      const { items } = await this.api.sessions();
      if (!items.length) return [h("p", { class: "empty" }, this.t("nothing_yet"))];
      return [h("ul", { class: "list" }, ...items.map((session) =>
        h("li", {}, h("button", { type: "button", onclick: () => this.choose(session.id) },
          h("strong", { dir: "auto" }, session.title || this.t("conversation")),
          h("span", {}, `${this.words.date(session.last_message_at)} · ${this.t(session.status === "closed" ? "ended" : "open_state")}`)))))];
    });
  }

  async tickets() {
    await this.#open(this.t("my_tickets"), async () => {
      const { items } = await this.api.tickets();
      const list = items.length ? h("ul", { class: "list" }, ...items.map((ticket) =>
        h("li", {}, h("button", { type: "button", onclick: () => this.ticket(ticket.id) },
          h("strong", { dir: "auto" }, `#${ticket.number} ${ticket.subject}`),
          h("span", {}, `${this.words.date(ticket.created_at)} · ${this.t(`ticket_${ticket.status}`)}`)))))
        : h("p", { class: "empty" }, this.t("nothing_yet"));
      return [list, this.#form(this.t("new_ticket"), [["subject", "input"], ["content", "textarea"]], async ({ subject, content }, key) => {
        const made = await this.api.openTicket(subject, content, key);
        await this.ticket(made.id);
      })];
    });
  }

  async ticket(id) {
    await this.#open("…", async () => {
      const [ticket, trail] = await Promise.all([this.api.ticket(id), this.api.call("GET", `/tickets/${id}/events?limit=100&order=newest`)]);
      this.view.heading.textContent = `#${ticket.number}`;
      const events = trail.items.reverse().filter((event) => event.type === "reply" || event.type === "status_changed");
      return [
        h("h3", { dir: "auto" }, ticket.subject),
        h("p", { class: "status" }, this.t(`ticket_${ticket.status}`)),
        h("p", { class: "said", dir: "auto" }, ticket.content),
        h("ul", { class: "trail" }, ...events.map((event) => h("li", {},
          h("p", { class: "said", dir: "auto" }, event.type === "reply" ? (event.author === "agent" ? linked(event.text) : event.text) : this.t(`ticket_${event.data.to ?? ticket.status}`)),
          h("span", {}, event.author === "agent" ? `${event.name || this.t("colleague")} · ` : event.author === "customer" ? `${this.t("author_customer")} · ` : ""),
          h("time", { datetime: event.created_at }, `${this.words.date(event.created_at)} ${this.words.time(event.created_at)}`)))),
        this.#form(this.t("reply"), [["content", "textarea"]], async ({ content }, key) => {
          await this.api.call("POST", `/tickets/${id}/reply`, { body: { message: content }, headers: { "Idempotency-Key": key } });
          await this.ticket(id);
        }),
      ];
    });
  }

  async #open(title, build) {
    this.view.openSheet(title, [h("p", { class: "empty" }, this.t("loading"))]);
    try {
      this.view.sheet.replaceChildren(...(await build()));
    } catch (error) {
      this.view.sheet.replaceChildren(h("p", { class: "empty" }, error.message));
    }
  }

  #form(label, fields, submit) {
    const inputs = fields.map(([name, kind]) => [name, h(kind, { required: true, maxLength: name === "subject" ? 200 : 8000, id: `field-${name}`, rows: kind === "textarea" ? "4" : null })]);
    const problem = h("p", { class: "bad", role: "alert" });
    const button = h("button", { type: "submit", class: "primary" }, label);
    let sent, key; // the same words are the same request, however often they are sent; others are another
    const form = h("form", { class: "form" }, h("h3", {}, label), ...inputs.flatMap(([name, input]) => [h("label", { for: `field-${name}` }, this.t(`field_${name}`)), input]), problem, button);
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      button.disabled = true;
      problem.textContent = "";
      const values = Object.fromEntries(inputs.map(([name, input]) => [name, input.value.trim()]));
      if (sent !== JSON.stringify(values)) [sent, key] = [JSON.stringify(values), newKey()];
      try {
        await submit(values, key);
      } catch (error) {
        problem.textContent = error.message;
      } finally {
        button.disabled = false;
      }
    });
    return form;
  }
}

/* The inbox: who waits for a person, what is mine, what colleagues have; and one conversation beside it. */

import { HandoffView } from "./handoff.js";
import { Rows, Split, badge, empty, failed, loading, severity } from "./parts.js";
import { Poll } from "./poll.js";
import { h } from "./shared/dom.js";
import { name, when } from "./words.js";

const EVERY_MS = 5000;

export class Inbox {
  #open = null; // the conversation that is shown
  #known = null; // ids that waited when last looked

  constructor(desk) {
    this.desk = desk;
    this.groups = ["Waiting", "Mine", "With colleagues"].map((title) => {
      const rows = new Rows(title, { make: (item) => this.#row(item) });
      const heading = h("h2", {}, title);
      return { title, rows, heading, node: h("section", { class: "group", hidden: true }, heading, rows.node) };
    });
    this.state = h("div", {}, loading("Looking who waits"));
    this.split = new Split("#/inbox", h("h2", { class: "big" }, "Inbox"), this.state, ...this.groups.map(({ node }) => node));
    this.node = this.split.node;
    this.poll = new Poll(() => this.#look(), EVERY_MS, (error) => this.#heard(error));
    this.poll.start();
    this.show([]);
  }

  show([id = null]) {
    if (this.#open && this.#open.id === id) return;
    this.#open?.end();
    this.#open = id ? new HandoffView(this.desk, id, () => this.poll.now()) : null;
    this.split.show(this.#open?.node ?? empty("No conversation is open.", "Choose one from the list: whoever has waited longest stands first."), id);
  }

  end() {
    this.poll.stop();
    this.#open?.end();
  }

  async #look() {
    this.items = await this.desk.api.readAll("/handoffs");
    const me = this.desk.who.user.id;
    const [waiting, mine, others] = [[], [], []];
    for (const item of this.items) (item.status === "requested" ? waiting : item.claimed_by === me ? mine : others).push(item);
    waiting.sort((a, b) => (b.assigned_to === me) - (a.assigned_to === me));
    [waiting, mine, others].forEach((items, index) => {
      const { title, rows, heading, node } = this.groups[index];
      heading.textContent = `${title} (${items.length})`;
      node.hidden = !items.length;
      rows.show(items);
    });
    this.state.replaceChildren(...(this.items.length ? [] : [empty("Nobody waits.", "When the assistant hands a conversation over, or a customer asks for a person, it appears here.")]));
    const unanswered = mine.filter((item) => item.waiting_since).length;
    this.desk.shell.count("inbox", waiting.length + unanswered, "wait for you");
    this.#tell(waiting);
    this.split.mark();
  }

  #heard(error) {
    this.desk.shell.lost("inbox", error);
    if (error && !this.items) this.state.replaceChildren(failed(error, () => this.poll.now()));
  }

  #tell(waiting) {
    const fresh = this.#known && waiting.filter((item) => !this.#known.has(item.id));
    this.#known = new Set(waiting.map((item) => item.id));
    if (fresh?.length) this.desk.shell.say(`${fresh.map((item) => item.customer_name ?? "A visitor").join(", ")}: waiting for a person.`);
  }

  #row(item) {
    const kept = item.assigned_to === this.desk.who.user.id && item.status === "requested";
    const waits = item.status === "requested" ? item.created_at : item.waiting_since;
    return h("a", { href: `#/inbox/${item.id}` },
      h("span", { class: "line" }, h("span", { class: "strong", dir: "auto" }, item.customer_name ?? "Visitor"), waits ? when(waits) : ""),
      h("span", { class: "summary", dir: "auto" }, item.summary || name(item.reason)),
      h("span", { class: "badges" }, kept ? badge("Kept for you", "warm") : null, item.status === "requested" ? badge(name(item.reason)) : null,
        item.severity === "HIGH" || item.severity === "CRITICAL" ? severity(item.severity) : null,
        item.status === "claimed" && item.waiting_since ? badge("Customer waits", "warm") : null,
        item.claimed_by && item.claimed_by !== this.desk.who.user.id ? badge(item.claimed_by_name) : null,
        item.returned ? badge(`Came back ${item.returned} ×`, "warm") : null, item.ticket_number ? badge(`#${item.ticket_number}`) : null));
  }
}

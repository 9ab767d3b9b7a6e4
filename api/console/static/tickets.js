/* Tickets, and the drafts that wait for somebody's word. */

import { Notice, Rows, Split, action, badge, choice, confidence, empty, failed, field, loading, severity } from "./parts.js";
import { Poll } from "./poll.js";
import { h } from "./shared/dom.js";
import { TicketView } from "./ticket.js";
import { name, when } from "./words.js";

const EVERY_MS = 15_000;
const SHOWN = 50;
const STATES = [["work", "Not ended"], ["open", "Open"], ["in_progress", "In progress"], ["waiting_customer", "Waiting for customer"], ["resolved", "Resolved"], ["closed", "Closed"], ["", "All"]];
const WORK = ["open", "in_progress", "waiting_customer"];

export class Tickets {
  #open = null;
  #turn = 0;
  #shown = false;
  #asked = { list: "drafts", state: "work", assignee: "", sort: "newest", q: "" };

  constructor(desk) {
    this.desk = desk;
    this.drafts = new Rows("Drafts that wait", { make: (draft) => this.#draftRow(draft) });
    this.tickets = new Rows("Tickets", { make: (ticket) => this.#ticketRow(ticket) });
    this.state = h("div", {}, loading());
    this.notice = new Notice();
    this.more = action("Show more", () => this.#more(), { notice: this.notice, hidden: true });
    this.search = h("input", { type: "search", placeholder: "Words, or #12", maxLength: 200, onchange: () => this.#ask({ q: this.search.value.trim() }) });
    this.filters = h("div", { class: "filters", hidden: true },
      h("div", { class: "full" }, field("Search", this.search)),
      choice("Status", STATES, "work", (state) => this.#ask({ state })), choice("Assigned to", [["", "Anybody"], ["me", "Me"], ["none", "Nobody"]], "", (assignee) => this.#ask({ assignee })),
      h("div", { class: "full" }, choice("Order", [["newest", "Newest first"], ["deadline", "Next deadline first"]], "newest", (sort) => this.#ask({ sort }))));
    this.tabs = [["drafts", "Drafts to decide"], ["tickets", "All tickets"]].map(([id, label]) => {
      const box = h("input", { type: "radio", name: "tickets-list", id: `tickets-${id}`, checked: id === "drafts", onchange: () => this.#ask({ list: id }) });
      return h("span", { class: "tab" }, box, h("label", { for: box.id }, label));
    });
    this.split = new Split("#/tickets", h("h2", { class: "big" }, "Tickets"), h("div", { class: "tabs", role: "radiogroup", "aria-label": "What to list" }, ...this.tabs), this.filters, this.state,
      this.drafts.node, this.tickets.node, h("div", { class: "actions below" }, this.more), this.notice.node);
    this.node = this.split.node;
    this.poll = new Poll(() => this.#look(), EVERY_MS, (error) => this.#heard(error));
    this.poll.start();
  }

  show([id = null]) {
    if (!this.#shown) {
      this.#shown = true;
      this.poll.now();
    }
    if (id === "all") { // not a ticket: the list that a figure of the overview counts
      history.replaceState(null, "", "#/tickets");
      this.split.list.querySelector("#tickets-tickets").checked = true;
      this.#ask({ list: "tickets" });
      this.show([]);
      return;
    }
    if (this.#open && this.#open.id === id) return;
    this.#open?.end();
    this.#open = id ? new TicketView(this.desk, id, () => this.poll.now()) : null;
    this.split.show(this.#open?.node ?? empty("No ticket is open.", "Choose a draft to decide about, or look for a ticket."), id);
  }

  hide() {
    this.#shown = false;
  }

  end() {
    this.poll.stop();
    this.#open?.end();
  }

  #ask(change) {
    Object.assign(this.#asked, change);
    this.#turn += 1;
    this.found = null;
    this.state.replaceChildren(loading());
    this.filters.hidden = this.#asked.list !== "tickets";
    for (const rows of [this.drafts, this.tickets]) rows.node.hidden = true;
    this.more.hidden = true;
    this.poll.now();
  }

  /** The drafts always, because they are counted; the tickets while they are looked at. */
  async #look() {
    const turn = this.#turn;
    const { api, shell } = this.desk;
    const waiting = await api.readAll("/replies/pending", 200);
    shell.count("tickets", waiting.length, "drafts to decide");
    const page = this.#asked.list === "tickets" && this.#shown ? await api.read(this.#path()) : null;
    if (turn !== this.#turn) return;
    if (this.#asked.list === "drafts") this.#showDrafts(waiting);
    else if (page) this.#showTickets(page);
    this.split.mark();
  }

  #path(cursor = null) {
    const { state, assignee, sort, q } = this.#asked;
    const wanted = new URLSearchParams({ limit: String(SHOWN), sort });
    for (const each of state === "work" ? WORK : state ? [state] : []) wanted.append("status", each);
    if (assignee) wanted.set("assignee", assignee);
    if (q) wanted.set("q", q);
    if (cursor) wanted.set("cursor", cursor);
    return `/tickets?${wanted}`;
  }

  #showDrafts(waiting) {
    this.found = waiting;
    this.state.replaceChildren(...(waiting.length ? [] : [empty("No draft waits.", "Open a ticket and have a reply drafted; with automatic drafts switched on, they come by themselves.")]));
    this.drafts.node.hidden = !waiting.length;
    this.drafts.show(waiting);
  }

  /** The first page anew; what was added below it by hand stays. */
  #showTickets({ items, next_cursor: next }) {
    const first = new Set(items.map((item) => item.id));
    const below = this.found && this.further ? this.found.filter((item) => !first.has(item.id)) : [];
    this.found = [...items, ...below];
    this.further = below.length;
    if (!below.length) this.next = next;
    this.#drawTickets();
  }

  async #more() {
    const turn = this.#turn;
    const page = await this.desk.api.read(this.#path(this.next));
    if (turn !== this.#turn) return; // another list was asked for meanwhile
    this.found = [...this.found, ...page.items];
    this.further = (this.further ?? 0) + page.items.length;
    this.next = page.next_cursor;
    this.#drawTickets();
  }

  #drawTickets() {
    const { q, state, assignee } = this.#asked;
    this.state.replaceChildren(...(this.found.length ? [] : [q || assignee || state !== "work" ? empty("No ticket fits.", "Change the filter or the words.") : empty("There is no open ticket.", "A ticket appears here when a customer opens one, or the assistant hands a conversation over.")]));
    this.tickets.node.hidden = !this.found.length;
    this.tickets.show(this.found);
    this.more.hidden = !this.next;
  }

  #heard(error) {
    this.desk.shell.lost("tickets", error);
    if (error && !this.found) this.state.replaceChildren(failed(error, () => this.poll.now()));
  }

  #draftRow(draft) {
    return h("a", { href: `#/tickets/${draft.ticket.id}` },
      h("span", { class: "line" }, h("span", { class: "strong", dir: "auto" }, `#${draft.ticket.number} ${draft.ticket.subject}`), when(draft.created_at)),
      h("span", { class: "summary", dir: "auto" }, draft.content),
      h("span", { class: "badges" }, confidence(draft.confidence), draft.outdated ? badge("Outdated", "warm") : null, draft.warnings.corrections ? badge("Corrected before", "warm") : null,
        draft.warnings.missing_knowledge ? badge("Nothing known", "bad") : null));
  }

  #ticketRow(ticket) {
    const due = this.#asked.sort === "deadline" && ticket.next_deadline;
    return h("a", { href: `#/tickets/${ticket.id}` },
      h("span", { class: "line" }, h("span", { class: "strong", dir: "auto" }, `#${ticket.number} ${ticket.subject}`), when(due || ticket.updated_at)),
      ticket.customer_name || ticket.customer_email ? h("span", { class: "summary", dir: "auto" }, ticket.customer_name ?? ticket.customer_email) : null,
      h("span", { class: "badges" }, badge(name(ticket.status)), ticket.late ? badge("Late", "bad") : null, ticket.severity === "HIGH" || ticket.severity === "CRITICAL" ? severity(ticket.severity) : null,
        ticket.assignee_name ? badge(ticket.assignee_name) : null));
  }
}

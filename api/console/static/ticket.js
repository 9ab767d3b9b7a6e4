/* One ticket: what was said, the reply that is drafted for it, and what a colleague writes in their own words. */

import { Composer } from "./composer.js";
import { DraftPanel } from "./draft.js";
import { fileButton } from "./log.js";
import { escalate, handTo, merge } from "./moves.js";
import { Notice, action, badge, choice, facts, failed, loading, severity } from "./parts.js";
import { Poll } from "./poll.js";
import { h } from "./shared/dom.js";
import { linked } from "./shared/links.js";
import { Story } from "./story.js";
import { at, date, name, when } from "./words.js";

const EVERY_MS = 10_000;
/** Where a ticket may go from where it is, as the server has it. */
const NEXT = {
  open: ["in_progress", "waiting_customer", "resolved", "closed"], in_progress: ["open", "waiting_customer", "resolved", "closed"],
  waiting_customer: ["open", "in_progress", "resolved", "closed"], resolved: ["open", "in_progress", "closed"], closed: ["open"],
};
const AUTHORS = { bot: "Assistant", agent: "Colleague" };

export class TicketView {
  #ended = false;
  #drawn = "";

  /** `onChange()` is called where the lists are not as they were. */
  constructor(desk, id, onChange) {
    Object.assign(this, { desk, id, onChange });
    this.notice = new Notice();
    this.story = new Story(desk.api, id);
    this.node = h("article", { class: "ticket", "aria-label": "Ticket" }, loading("Opening the ticket"));
    this.poll = new Poll(() => this.#look(), EVERY_MS, (error) => this.#heard(error));
    this.poll.start();
  }

  end() {
    this.#ended = true;
    this.poll.stop();
    this.desk.shell.lost("ticket", null);
  }

  async #look() {
    const { api } = this.desk;
    const ticket = await api.read(`/tickets/${this.id}`);
    const [fresh, drafts, talks] = await Promise.all([
      this.story.read(), api.read(`/replies?ticket_id=${this.id}&limit=20`), ticket.session_id ? api.read(`/handoffs?session_id=${ticket.session_id}&limit=1`) : null]);
    if (this.#ended) return;
    Object.assign(this, { ticket, talk: talks?.items[0] ?? null });
    if (!this.head) this.#build();
    this.#show();
    await this.panel.show(ticket, drafts.items);
    const said = fresh.filter((event) => event.type === "reply" && event.author === "customer").at(-1);
    if (said) this.desk.shell.say(`${this.#customer()}: ${said.text}`);
  }

  #heard(error) {
    this.desk.shell.lost("ticket", error);
    if (!error || this.head) return;
    const gone = error.status === 404 ? new Error("This ticket does not exist.") : error;
    this.node.replaceChildren(failed(gone, () => this.poll.now()));
  }

  #build() {
    this.head = h("header", { class: "head" });
    this.about = h("div", { class: "about" });
    this.history = h("ol", { class: "log" });
    this.panel = new DraftPanel(this.desk, { onChange: () => this.#changed(), useAsReply: (text) => this.#useAsReply(text) });
    const then = h("select", { "aria-label": "The ticket becomes" }, ...[["", "Leave the status"], ["in_progress", "Then: in progress"], ["waiting_customer", "Then: waiting for customer"], ["resolved", "Then: resolved"]]
      .map(([value, label]) => h("option", { value }, label)));
    this.composer = new Composer(this.desk, [
      { id: "reply", label: "Reply in your own words", button: "Send", keptAs: `ticket-reply:${this.id}`, files: true, send: (text, files) => this.#reply(text, files, then) },
      { id: "note", label: "Note for colleagues", button: "Save the note", keptAs: `ticket-note:${this.id}`, files: true, send: (text, files) => this.#note(text, files) },
    ], { extra: then });
    this.node.replaceChildren(this.head, h("div", { class: "sheet" }, this.notice.node, this.about, h("section", { "aria-label": "History" }, this.history), this.panel.node, this.composer.node));
  }

  #show() {
    const { ticket, story, talk } = this;
    const { events } = story;
    const drawn = JSON.stringify([ticket, events.length, events[0]?.id, talk?.id, talk?.status]);
    if (drawn === this.#drawn) return;
    this.#drawn = drawn;
    const mine = ticket.assignee_id === this.desk.who.user.id;
    const { notice } = this;
    const go = choice("Status", [[ticket.status, name(ticket.status)], ...NEXT[ticket.status].map((each) => [each, name(each)])], ticket.status, (status) => this.#quietly(() => this.#change({ status })));
    go.classList.add("inline");
    this.head.replaceChildren(
      h("a", { class: "back", href: "#/tickets" }, "‹ Tickets"),
      h("div", { class: "title" }, h("h2", { dir: "auto" }, `#${ticket.number} ${ticket.subject}`), severity(ticket.severity), ticket.late ? badge("Late", "bad") : null),
      h("div", { class: "actions" }, go,
        mine ? action("Unassign", () => this.#change({ assignee_id: null }), { notice }) : action("Assign to me", () => this.#change({ assignee_id: this.desk.who.user.id }), { notice }),
        ...(ticket.merged_into ? [] : this.#moves())));
    this.about.replaceChildren(facts([
      ["Customer", this.#who()], ["Conversation", talk ? h("a", { href: `#/inbox/${talk.id}` }, talk.status === "claimed" ? `With ${talk.claimed_by_name}` : "Waits in the inbox") : null],
      ["Assigned to", ticket.assignee_name ?? "Nobody"], ["Priority", name(ticket.priority)], ["About", name(ticket.intent)], ["Tier", ticket.tier ? String(ticket.tier) : ""], ["Department", ticket.department], ["Team", name(ticket.team)],
      ["Opened", date(ticket.created_at)], ["Next deadline", ticket.next_deadline ? when(ticket.next_deadline) : null], ["Missed", ticket.missed.map(name).join(", ")],
      ["In WHMCS", ticket.source === "whmcs" ? `${ticket.external_number} (${ticket.external_status})` : null],
      ["Merged", ticket.merged_into ? h("a", { href: `#/tickets/${ticket.merged_into}` }, "into another ticket") : null],
    ]));
    const opened = { type: "reply", author: ticket.opened_by === "agent" ? "agent" : "customer", text: ticket.content, created_at: ticket.created_at, attachments: story.created?.attachments ?? [] };
    const earlier = story.hasEarlier ? h("li", { class: "message system" }, action("Show what came before", () => this.#earlier(), { notice })) : null;
    this.history.replaceChildren(...[this.#event(opened), earlier, ...events.map((event) => this.#event(event))].filter(Boolean));
    const why = ticket.merged_into ? "This ticket was merged into another; go on there."
      : ticket.status === "closed" ? "This ticket is closed. Open it again to answer."
        : ticket.source === "whmcs" && ticket.external_number ? "Its customer reads this ticket in WHMCS: what reaches them there is a draft that is approved." : "";
    this.composer.allow("reply", !why, why);
  }

  #customer() {
    const { customer_name: called, customer_email: email, customer_external_id: known } = this.ticket;
    return called ?? email ?? known ?? "Visitor";
  }

  /** By name and address, and whether the address is proven to be theirs. */
  #who() {
    const { customer_email: email, customer_verified: proven } = this.ticket;
    const called = this.#customer();
    return h("span", { dir: "auto" }, [called, email && email !== called ? email : "", email && !proven ? "(address not verified)" : ""].filter(Boolean).join(" "));
  }

  /** What came before stands above what is being read, which stays where it is. */
  async #earlier() {
    await this.story.readEarlier();
    const place = this.node.closest(".detail");
    const below = place.scrollHeight - place.scrollTop;
    this.#show();
    place.scrollTop = place.scrollHeight - below;
  }

  #moves() {
    const { desk, ticket, notice } = this;
    const done = () => this.#changed();
    return [
      action("Hand to…", () => handTo(desk, ticket, (wish) => this.#change(wish)), { notice }),
      ...(ticket.status === "closed" ? [] : [action("Escalate…", () => escalate(desk, ticket, done), { notice })]),
      action("Merge…", () => merge(desk, ticket, done), { notice }),
    ];
  }

  #event(event) {
    if (event.type === "created" || event.type === "classified") return null;
    if (event.text) {
      const note = event.type === "note";
      const who = note ? "Note for colleagues" : event.author === "agent" ? (event.name ?? AUTHORS.agent) : event.author === "customer" ? this.#customer() : (AUTHORS[event.author] ?? name(event.type));
      return h("li", { class: `message ${note ? "note-message" : event.author ?? "system"}` }, h("p", { class: "who" }, h("span", { dir: "auto" }, who), " ", at(event.created_at)),
        h("div", { class: "bubble plain", dir: "auto" }, linked(event.text)), ...(event.attachments ?? []).map((file) => fileButton(this.desk.api, file)));
    }
    return h("li", { class: "message system" }, h("p", { class: "who" }, step(event), " · ", at(event.created_at)));
  }

  #changed() {
    this.onChange();
    return this.poll.now();
  }

  async #quietly(run) {
    this.notice.clear();
    try {
      await run();
    } catch (error) {
      this.notice.error(error);
      this.#drawn = ""; // the choice goes back to what is
      this.#show();
    }
  }

  async #change(wish) {
    try {
      await this.desk.api.change("PATCH", `/tickets/${this.id}`, { ...wish, version: this.ticket.version });
    } catch (error) {
      if (error.status === 409) this.#changed();
      throw error;
    }
    await this.#changed();
  }

  async #reply(text, files, then) {
    await this.desk.api.post(`/tickets/${this.id}/reply`, { message: text, attachment_ids: files, ...(then.value ? { status: then.value } : {}) });
    then.value = "";
    await this.#changed();
  }

  async #note(text, files) {
    await this.desk.api.post(`/tickets/${this.id}/notes`, { message: text, attachment_ids: files });
    await this.#changed();
  }

  #useAsReply(text) {
    this.desk.kept.add(`ticket-reply:${this.id}`, text);
    this.composer.choose("reply");
    this.composer.text.focus();
  }
}

/** A step of the history in words. */
function step({ type, data }) {
  const moved = (change) => (change?.to ? name(change.to) : "nobody");
  if (type === "status_changed" || type === "reopened") return `${name(type)}: ${name(data.to)}`;
  if (type === "priority_changed" || type === "department_changed") return `${name(type)}: ${name(data.to)}`;
  if (type === "assigned") return data.team ? `Team: ${moved(data.team)}` : data.assignee_id?.to ? "Assigned" : "Assigned to nobody";
  if (type === "escalated") return `Handed up to tier ${data.to}: ${data.reason}`;
  if (type === "merged") return data.into_number ? `Merged into #${data.into_number}` : `#${data.merged_number} was merged into this`;
  if (type === "corrected") return `Corrected: ${Object.keys(data).map((key) => name(key).toLowerCase()).join(", ")}`;
  if (type === "sla_missed") return `Target missed: ${name(data.clock).toLowerCase()}`;
  if (type === "routed") return "Routed";
  return name(type);
}

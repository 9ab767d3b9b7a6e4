/* One conversation that was handed over: what is known, what is said while it is said, and what a colleague can do. */

import { ApiError, Away } from "./api.js";
import { Composer } from "./composer.js";
import { Log } from "./log.js";
import { Notice, action, ask, badge, choice, facts, failed, loading, said, severity } from "./parts.js";
import { Conversation } from "./shared/conversation.js";
import { h } from "./shared/dom.js";
import { Stream } from "./shared/stream.js";
import { at, name, when } from "./words.js";

const AGAIN_MS = 4000;

export class HandoffView {
  #stream = null;
  #ended = false;
  #drawing = false;

  /** `onChange()` is called where the queue is not as it was. */
  constructor(desk, id, onChange) {
    Object.assign(this, { desk, id, onChange });
    this.notice = new Notice();
    this.node = h("article", { class: "handoff", "aria-label": "Conversation with a customer" }, loading("Opening the conversation"));
    this.conversation = new Conversation();
    this.conversation.addEventListener("change", ({ detail }) => this.#changed(detail));
    this.#begin();
  }

  end() {
    this.#ended = true;
    this.#stream?.stop();
    clearTimeout(this.timer);
    this.desk.shell.lost("conversation", null);
  }

  async #begin() {
    try {
      await this.#load();
      if (this.#ended) return;
      this.#build();
      await this.#follow();
    } catch (error) {
      if (this.#ended) return;
      if (error instanceof ApiError && error.status === 404) this.node.replaceChildren(failed(new Error("This conversation does not exist any more."), () => (location.hash = "#/inbox")));
      else this.node.replaceChildren(failed(error, () => this.#begin()));
    }
  }

  async #load() {
    this.handoff = await this.desk.api.read(`/handoffs/${this.id}`);
  }

  #build() {
    const customer = this.handoff.customer_name ?? "Visitor";
    this.head = h("header", { class: "head" });
    this.known = h("details", { class: "known", open: matchMedia("(min-width: 900px)").matches });
    this.log = new Log(this.desk.api, customer);
    this.actions = h("div", { class: "actions" });
    this.composer = new Composer(this.desk, [
      { id: "reply", label: "Reply to the customer", button: "Send", keptAs: `reply:${this.id}`, files: true, send: (text, files) => this.#say(text, files) },
      { id: "note", label: "Note for colleagues", button: "Save the note", keptAs: `note:${this.id}`, send: (text) => this.#note(text) },
    ]);
    this.node.replaceChildren(this.head, this.known, this.log.node, this.notice.node, this.composer.node);
    this.#show();
  }

  /** The stored words, then everything from there on. */
  async #follow() {
    const { session_id: id } = this.handoff;
    const session = await this.desk.api.read(`/chat/sessions/${id}`);
    const history = await this.#history(id);
    if (this.#ended) return;
    this.conversation.clear();
    this.conversation.load(history, session);
    requestAnimationFrame(() => this.log.toEnd());
    this.#stream?.stop();
    this.#stream = new Stream(this.desk.api, id, String(session.last_n), {
      onEvent: (event) => {
        if (event.type === "resync") this.#again(0);
        else this.conversation.apply(event);
        if (event.type.startsWith("handoff.") || event.type === "session.closed") this.#refresh();
      },
      onState: (state) => {
        this.desk.shell.lost("conversation", state === "lost" ? new Away() : null);
        if (state === "unknown" || state === "refused") this.#again(0); // the sign-in has run out; reading waits for a new one
      },
    });
  }

  #again(wait) {
    this.#stream?.stop();
    clearTimeout(this.timer);
    this.timer = setTimeout(async () => {
      try {
        await this.#follow();
      } catch (error) {
        if (this.#ended) return;
        this.notice.error(error);
        if (!(error instanceof ApiError) || error.status >= 500) this.#again(AGAIN_MS);
      }
    }, wait);
  }

  async #history(id) {
    const messages = [];
    for (let after = 0; ; ) {
      const page = await this.desk.api.read(`/chat/sessions/${id}/messages?limit=100&after=${after}`);
      messages.push(...page.items);
      if (!page.next_cursor) return messages;
      after = page.next_cursor;
    }
  }

  #changed({ what, author, text }) {
    if (what === "message" && author !== "bot") this.onChange(); // who waits for whom is not as it was
    if (what === "message" && author === "customer") this.desk.shell.say(`${this.handoff.customer_name ?? "Visitor"}: ${text}`);
    if (this.#drawing || !this.log) return;
    this.#drawing = true;
    requestAnimationFrame(() => {
      this.#drawing = false;
      this.log.show(this.conversation);
    });
  }

  async #refresh() {
    this.onChange();
    try {
      await this.#load();
      if (!this.#ended) this.#show();
    } catch (error) {
      if (!this.#ended) this.notice.error(error);
    }
  }

  #show() {
    const { handoff } = this;
    const mine = handoff.status === "claimed" && handoff.claimed_by === this.desk.who.user.id;
    const waits = handoff.status === "requested";
    const theirs = handoff.status === "claimed" && !mine;
    const over = !waits && handoff.status !== "claimed";
    this.head.replaceChildren(
      h("a", { class: "back", href: "#/inbox" }, "‹ Inbox"),
      h("div", { class: "title" }, h("h2", { dir: "auto" }, handoff.customer_name ?? "Visitor"),
        badge(mine ? "Yours" : theirs ? `With ${handoff.claimed_by_name ?? "a colleague"}` : name(handoff.status), mine ? "good" : waits ? "warm" : ""), severity(handoff.severity)),
      this.actions);
    this.actions.replaceChildren(...this.#possible({ mine, waits, theirs }));
    this.#showKnown();
    const others = theirs && "A colleague has this conversation. You can leave them a note.";
    this.composer.allow("reply", !(theirs || over), over ? "This matter has ended." : others, waits ? "Claim and send" : "Send");
  }

  #possible({ mine, waits, theirs }) {
    const { notice } = this;
    const may = mine || waits || (theirs && this.desk.isAdmin);
    const made = [];
    if (waits) made.push(action("Claim", () => this.#claim(), { kind: "primary", notice }));
    if (may && !waits) made.push(action("Give back to the assistant", () => this.#do("release", {}, "The assistant has the conversation again."), { notice }));
    if (may) {
      made.push(action("Hand over…", () => this.#handOn(), { notice }));
      made.push(action("Resolve…", () => this.#resolve(), { kind: mine ? "primary" : "", notice }));
    }
    return made;
  }

  #showKnown() {
    const { handoff } = this;
    const found = handoff.findings ?? {};
    const open = (found.open ?? []).filter((text) => text !== found.asked);
    this.known.replaceChildren(h("summary", {}, "What is known"),
      h("div", { class: "known-body" },
        facts([
          ["Why", name(handoff.reason)], ["Waits since", handoff.status === "requested" ? when(handoff.created_at) : null],
          ["Unanswered since", handoff.waiting_since ? when(handoff.waiting_since) : null], ["About", name(found.intent)], ["Language", handoff.language],
          ["Assistant's confidence", found.confidence ?? null], ["Came back", handoff.returned ? `${handoff.returned} ×, because nobody answered` : null],
          ["Ticket", handoff.ticket_id ? h("a", { href: `#/tickets/${handoff.ticket_id}` }, `#${handoff.ticket_number}`) : null], ["Outcome", handoff.outcome],
        ]),
        ...this.#words("In short", found.asked?.includes(handoff.summary) ? "" : handoff.summary), ...this.#words("Asked", found.asked), ...this.#words("The assistant tried", found.tried),
        ...this.#words("Looked at", (found.sources ?? []).join(", ")), ...this.#words("Still open", open.join("\n")),
        ...(handoff.notes ?? []).map((note) => h("div", { class: "note" }, h("p", { class: "who" }, "Note · ", at(note.created_at)), said(note.text)))));
  }

  #words(title, text) {
    return text ? [h("div", { class: "finding" }, h("h3", {}, title), said(String(text)))] : [];
  }

  /** One step; whoever was faster is named, and the queue is read anew. */
  async #do(what, body, done) {
    try {
      this.handoff = await this.desk.api.post(`/handoffs/${this.id}/${what}`, body);
      this.#show();
      this.onChange();
      if (done) {
        this.notice.done(done);
        this.desk.shell.say(done);
      }
    } catch (error) {
      if (error.status === 409 || error.status === 404) this.#refresh();
      throw error;
    }
  }

  async #claim() {
    await this.#do("claim", {}, "You have this conversation now. The assistant is silent.");
    this.composer.choose("reply");
    this.composer.text.focus();
  }

  async #say(text, files) {
    try {
      await this.desk.api.post(`/handoffs/${this.id}/messages`, { message: text, attachment_ids: files });
    } catch (error) {
      if (error.status === 409) this.#refresh();
      throw error;
    }
    this.log.toEnd();
    if (this.handoff.status === "requested" || this.handoff.waiting_since) {
      await this.#refresh();
      this.log.toEnd(); // there is less room for it now
    }
  }

  async #note(text) {
    await this.#do("notes", { message: text }, "The note is saved. Only colleagues see it.");
    this.known.open = true;
  }

  async #resolve() {
    await ask({
      title: "Resolve this matter", text: this.handoff.status === "claimed" ? "The conversation ends. If the customer writes within seven days, it opens again." : "The request for a person ends.",
      label: "What came of it", hint: "For colleagues; may be empty.", button: "Resolve", kept: this.desk.kept, keptAs: `outcome:${this.id}`,
      run: (outcome) => this.#do("resolve", { outcome }, "Resolved."),
    });
  }

  async #handOn() {
    const { items } = await this.desk.api.read("/handoffs/colleagues");
    const others = items.filter((each) => each.id !== this.handoff.claimed_by);
    if (!others.length) throw new Error("There is no other colleague yet.");
    let chosen = others[0].id;
    const pick = choice("Colleague", others.map((each) => [each.id, `${each.name}${each.is_available ? "" : " (off duty)"}, ${each.conversations} open`]), chosen, (id) => (chosen = id));
    await ask({
      title: "Hand to a colleague", text: this.handoff.status === "requested" ? "The queue keeps it for them." : "They have it at once, and the customer is told.",
      button: "Hand over", extra: pick, run: () => this.#do("reassign", { user_id: chosen }, "Handed over."),
    });
  }
}

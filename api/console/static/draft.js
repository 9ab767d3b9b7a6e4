/* A drafted reply: how sure it is and why, what it rests on, what to look at; edited, approved, rejected, written again. */

import { bar } from "./charts.js";
import { quotes } from "./log.js";
import { Notice, action, ask, badge, busy, check, choice, confidence, field, said } from "./parts.js";
import { h } from "./shared/dom.js";
import { ANYWHERE, linked } from "./shared/links.js";
import { render } from "./shared/markdown.js";
import { name, percent, plural, when } from "./words.js";

const WEIGHTS = [["example", 0.4], ["kb", 0.3], ["intent", 0.2], ["safety", 0.1]];
const THEN = [["", "Leave it as it is"], ["in_progress", "In progress"], ["waiting_customer", "Waiting for customer"], ["resolved", "Resolved"]];
const WITHHELD = { unsupported: "no source says it", mistake: "a colleague took it out in a matter like this", done_elsewhere: "it was done for another customer" };
const SENDING = { pending: "on its way", sending: "on its way", sent: "sent", failed: "failed", unknown: "nobody knows whether it arrived" };

/** The name under which the edits of a draft are kept. */
const edits = ({ id, version }) => `draft:${id}:${version}`;

export class DraftPanel {
  #shown = "";
  #now = ""; // the name under which the edits are kept of the draft that is shown
  #deciding = null; // the name under which they are kept of the one that is being decided

  /** `useAsReply(text)` takes a text that has no draft any more. */
  constructor(desk, { onChange, useAsReply }) {
    Object.assign(this, { desk, onChange, useAsReply });
    this.notice = new Notice();
    this.body = h("div", { class: "draft-body" });
    this.saved = h("div", {});
    this.past = h("div", {});
    this.node = h("section", { class: "card draft", "aria-labelledby": "draft-title" }, h("h2", { id: "draft-title" }, "Drafted reply"), this.notice.node, this.saved, this.body, this.past);
  }

  /** What there is for a ticket now; an editor that shows the same draft is not touched. */
  async show(ticket, drafts) {
    this.ticket = ticket;
    const pending = drafts.find((draft) => draft.status === "pending") ?? null;
    const shown = JSON.stringify([pending && [pending.id, pending.version, pending.outdated], ticket.status, ticket.merged_into]);
    if (shown !== this.#shown) {
      const draft = pending && (await this.desk.api.read(`/replies/${pending.id}`));
      this.desk.api.forget(); // what nobody knew to have arrived is seen now
      this.#now = pending ? edits(pending) : "";
      this.#rescue();
      this.#showRescued();
      const writing = this.body.contains(document.activeElement) && document.activeElement.matches("textarea") ? document.activeElement.selectionStart : null;
      this.body.replaceChildren(...(draft ? this.#open(draft) : this.#none()));
      this.#shown = shown;
      const text = writing === null ? null : this.body.querySelector("textarea");
      text?.focus();
      text?.setSelectionRange(writing, writing);
    }
    this.#showPast(drafts.filter((draft) => draft.status !== "pending"));
  }

  #none() {
    const over = this.ticket.merged_into || this.ticket.status === "resolved" || this.ticket.status === "closed";
    if (over) return [h("p", { class: "soft" }, "No draft waits. This ticket has ended; open it again to have one written.")];
    const wish = this.desk.kept.bind(h("input", { type: "text", maxLength: 1000 }), `wish:${this.ticket.id}`);
    return [h("p", { class: "soft" }, "No draft waits. Have a reply written from the knowledge base and what was approved before."), field("What it should mind", wish, "May be empty."),
      h("div", { class: "actions" }, action("Write a draft", async () => {
        await this.desk.api.post("/replies/generate", { ticket_id: this.ticket.id, instruction: wish.value.trim() });
        this.desk.kept.set(`wish:${this.ticket.id}`, "");
        await this.onChange();
      }, { kind: "primary", notice: this.notice }))];
  }

  #open(draft) {
    const keptAs = edits(draft);
    this.draft = draft;
    const { kept } = this.desk;
    const text = kept.bind(h("textarea", { rows: "10", maxLength: 8000, dir: "auto" }), keptAs, draft.content);
    const notes = kept.bind(h("input", { type: "text", maxLength: 2000 }), `${keptAs}:notes`);
    const why = field("What you corrected", notes, "Later drafts learn from it. Left empty, the difference is summed up.");
    const learn = check("Learn from this reply", { checked: true });
    const aware = check("Send it although it is outdated", { hint: "The customer has written since, or a colleague has answered." });
    let then = "";
    const approve = h("button", { type: "button", class: "button primary" });
    const changed = () => text.value.trim() !== draft.content.trim();
    const label = () => {
      approve.textContent = changed() ? "Approve with your edits and send" : "Approve as it is and send";
      why.hidden = !changed();
    };
    text.addEventListener("input", () => {
      kept.set(this.#editedAs, kept.get(keptAs) && keptAs);
      label();
    });
    label();
    approve.addEventListener("click", () => busy(approve, () => this.#decide(async () => {
      if (!text.value.trim()) throw new Error("There is nothing to send: the reply is empty.");
      if (draft.outdated && !aware.box.checked) throw new Error("This draft is outdated. Have it drafted again, or tick that you send it all the same.");
      await this.desk.api.post("/replies/approve", {
        draft_id: draft.id, version: draft.version, learn: learn.box.checked, ...(changed() ? { content: text.value.trim(), edit_notes: notes.value.trim() } : {}),
        ...(then ? { status: then } : {}), ...(draft.outdated ? { even_though_outdated: true } : {}),
      });
    }, "Approved. The reply is on its way to the customer."), this.notice));
    return [
      this.#sure(draft), ...this.#warnings(draft),
      h("details", { open: true }, h("summary", {}, `As it was written, with its ${plural(draft.sources.length, "source")}`),
        h("div", { class: "prose", dir: "auto" }, render(draft.marked, { hosts: ANYWHERE, cite: (number) => this.#cite(number) })), this.#sources(draft)),
      field("The reply as it will be sent", text), why,
      h("div", { class: "filters" }, choice("The ticket becomes", THEN, "", (value) => (then = value)), learn.node), draft.outdated ? aware.node : null,
      h("div", { class: "actions" }, approve, action("Draft again…", () => this.#again(), { notice: this.notice }), action("Reject…", () => this.#reject(), { kind: "danger", notice: this.notice })),
    ].filter(Boolean);
  }

  #sure(draft) {
    const { parts, score, level } = draft.confidence;
    const { approval } = draft;
    const told = approval && (approval.probability === null ? approval.reason : `${percent(approval.probability)} of drafts like this were approved unchanged (${plural(approval.outcomes, "decision")}).`);
    return h("div", { class: "sure" },
      h("p", { class: "title" }, "Confidence ", confidence({ score, level }), h("span", { class: "soft" }, "written ", when(draft.created_at), draft.prompt_name ? ` with “${draft.prompt_name}”` : "")),
      h("ul", { class: "bars", "aria-label": "Parts of the confidence" }, ...WEIGHTS.filter(([part]) => part in (parts ?? {})).map(([part, weight]) =>
        h("li", {}, h("span", {}, `${name(part)} `, h("span", { class: "soft" }, `counts ${percent(weight)}`)), bar(parts[part]), h("span", {}, percent(parts[part]))))),
      told ? h("p", { class: "hint" }, told) : null);
  }

  #warnings({ warnings, outdated, lookups }) {
    const made = [];
    const warn = (title, ...nodes) => made.push(h("div", { class: "warning" }, h("h3", {}, title), ...nodes));
    const list = (items) => h("ul", {}, ...items.map((item) => h("li", { dir: "auto" }, linked(item))));
    if (outdated) warn("Outdated", h("p", {}, "The customer has written since this draft was, or a colleague has answered."));
    if (warnings.missing_knowledge) warn("Nothing that is known answers this", h("p", {}, "The draft says so. Write the answer yourself, if you know it."));
    for (const correction of warnings.corrections ?? []) {
      warn(`Corrected before, in a ticket like this (${percent(correction.similarity)} alike)`, correction.notes ? said(correction.notes) : null,
        h("details", {}, h("summary", {}, "What was wrong, and what was right"), h("h3", {}, "Wrong"), said(correction.wrong), h("h3", {}, "Right"), said(correction.reply)));
    }
    if (warnings.withheld) warn("Left out", list(warnings.withheld.map(({ text, reason }) => `“${text}”: ${WITHHELD[reason] ?? name(reason)}`)));
    if (warnings.open_questions) warn("Questions that it may leave open", list(warnings.open_questions));
    if (warnings.placeholders) warn("To be filled in before it can be sent", list(warnings.placeholders));
    if (warnings.guard) warn("The guard", h("p", { dir: "auto" }, warnings.guard.reason || name(warnings.guard.category)));
    if (warnings.files_unread) warn("Files that could not be read", h("p", {}, "Look at them yourself before you send this."), list(warnings.files_unread));
    if (warnings.files_refused) warn("The guard left a file out", list(warnings.files_refused.map(name)));
    if (warnings.not_looked_up) warn("Could not be looked up", list(warnings.not_looked_up.map(({ tool, error }) => `${name(tool)}: ${error}`)));
    if (warnings.cut_off) warn("Cut off", h("p", {}, "The answer was longer than it may be."));
    if (lookups?.length) made.push(h("details", {}, h("summary", {}, `${plural(lookups.length, "look-up")} before it was written`), list(lookups.map((each) => `${name(each.tool)}: ${each.query}${each.ok ? "" : ` (${each.error})`}`))));
    return made;
  }

  #cite(number) {
    return h("button", { type: "button", class: "cite", "aria-label": `Source ${number}`, onclick: () => {
      const details = this.body.querySelectorAll(".sources details")[number - 1];
      if (!details) return;
      details.open = true;
      details.querySelector("summary").focus();
    } }, String(number));
  }

  #sources({ sources }) {
    return sources.length ? quotes(sources) : h("p", { class: "soft" }, "It rests on no source.");
  }

  /** A decision; who was faster is named, and what was written stays where it can be read, also where a new draft comes. */
  async #decide(run, done, { keep = false } = {}) {
    const decided = this.#now;
    this.#deciding = decided; // a look at the ticket may see the decision before its answer is here
    try {
      await run();
      if (!keep) this.#forget(decided);
    } catch (error) {
      if (error.status === 409 || error.status === 404) this.onChange();
      throw error;
    } finally {
      this.#deciding = null;
      this.#rescue();
      this.#showRescued();
    }
    await this.onChange();
    this.notice.done(done);
    this.desk.shell.say(done);
  }

  get #editedAs() {
    return `editing:${this.ticket.id}`;
  }

  #forget(keptAs) {
    const { kept } = this.desk;
    kept.set(keptAs, "");
    kept.set(`${keptAs}:notes`, "");
    if (kept.get(this.#editedAs) === keptAs) kept.set(this.#editedAs, "");
  }

  #reject() {
    const { draft } = this;
    return ask({
      title: "Reject this draft", label: "Why", hint: "Kept with the draft. Nothing of it is sent.", needed: true, button: "Reject", kind: "danger", kept: this.desk.kept, keptAs: `reject:${draft.id}`,
      run: (reason) => this.#decide(() => this.desk.api.post(`/replies/${draft.id}/reject`, { reason, version: draft.version }), "Rejected. Nothing of it was sent."),
    });
  }

  #again() {
    const { draft } = this;
    return ask({
      title: "Have it drafted again", text: "The new draft takes this one's place.", label: "What should be different", needed: true, button: "Draft again", kept: this.desk.kept, keptAs: `again:${draft.id}`,
      run: (instruction) => this.#decide(() => this.desk.api.post(`/replies/${draft.id}/regenerate`, { instruction, version: draft.version }), "A new draft is written.", { keep: true }),
    });
  }

  /** Edits of a draft that somebody else decided about: they are no draft any more, but nobody's to throw away. */
  #rescue() {
    const { kept } = this.desk;
    const before = kept.get(this.#editedAs);
    if (!before || before === this.#now || before === this.#deciding) return;
    const text = kept.get(before);
    this.#forget(before);
    if (text) kept.add(`rescued:${this.ticket.id}`, text);
  }

  #showRescued() {
    const keptAs = `rescued:${this.ticket.id}`;
    const text = this.desk.kept.get(keptAs);
    const box = h("textarea", { rows: "5", readOnly: true });
    box.value = text;
    const away = () => {
      this.desk.kept.set(keptAs, "");
      this.saved.replaceChildren();
    };
    this.saved.replaceChildren(...(text ? [field("What you had written for an earlier draft", box), h("div", { class: "actions" },
      action("Use it as my own reply", () => {
        away();
        this.useAsReply(text);
      }), action("Throw it away", away))] : []));
  }

  #showPast(drafts) {
    this.past.replaceChildren(...(drafts.length ? [h("details", {}, h("summary", {}, `Earlier drafts (${drafts.length})`), h("ul", { class: "past" }, ...drafts.map((draft) => this.#past(draft))))] : []));
    if (drafts.some(({ reply }) => reply && ["unknown", "failed"].includes(reply.sending))) this.past.querySelector("details").open = true;
  }

  #past(draft) {
    const { reply } = draft;
    const stuck = reply && ["unknown", "failed"].includes(reply.sending);
    const settle = (label, outcome) => action(label, async () => {
      await this.desk.api.post(`/replies/${draft.id}/sending`, { outcome });
      await this.onChange();
    }, { notice: this.notice });
    return h("li", {}, h("p", { class: "title" }, badge(name(draft.status), draft.status === "approved" ? "good" : ""), h("span", { class: "soft" }, draft.decided_by_name ?? "", " ", when(draft.decided_at ?? draft.created_at))),
      draft.reason ? h("p", { class: "said", dir: "auto" }, draft.reason) : null,
      reply ? h("p", { class: "soft" }, `${reply.similarity === 1 ? "Sent as it was" : `Sent with edits (${percent(reply.similarity)} alike)`}, ${SENDING[reply.sending]}${reply.learned ? `; kept as ${reply.learned === "example" ? "an example" : "a correction"}` : ""}.`) : null,
      reply?.edit_notes ? h("p", { class: "said soft", dir: "auto" }, reply.edit_notes) : null,
      stuck ? h("div", { class: "warning" }, h("p", {}, reply.sending === "unknown" ? "Please look at the ticket in the other system." : `It was not sent: ${reply.error ?? "no reason is known"}`),
        h("div", { class: "actions" }, settle("It stands there", "arrived"), settle("It does not: send it again", "send_again"))) : null);
  }
}

/* Questions about one matter that had no good answer, and what is done about them. */

import { Notice, action, ask, badge, facts, failed, loading } from "./parts.js";
import { h } from "./shared/dom.js";
import { linked } from "./shared/links.js";
import { name, when } from "./words.js";

export class GapView {
  constructor(desk, id, onChange) {
    Object.assign(this, { desk, id, onChange });
    this.notice = new Notice();
    this.node = h("article", { class: "gap", "aria-label": "What is missing" }, loading());
    this.#read();
  }

  async #read() {
    try {
      this.gap = await this.desk.api.read(`/kb/gaps/${this.id}`);
      this.#show();
    } catch (error) {
      this.node.replaceChildren(failed(error.status === 404 ? new Error("This gap does not exist any more.") : error, () => this.#read()));
    }
  }

  #show() {
    const { gap, notice } = this;
    const made = [];
    if (this.desk.isAdmin && gap.status === "open") {
      made.push(action("Draft the missing article", () => this.#draft(), { kind: "primary", notice }), action("It is answered…", () => this.#decide("resolve", "It is answered now", "Answered"), { notice }),
        action("Set aside…", () => this.#decide("dismiss", "Set it aside", "Set aside"), { notice }));
    } else if (this.desk.isAdmin) made.push(action("Open it again", () => this.#do("reopen", {}, "Open again."), { notice }));
    this.node.replaceChildren(
      h("header", { class: "head" }, h("a", { class: "back", href: "#/knowledge" }, "‹ Knowledge"), h("div", { class: "title" }, h("h2", { dir: "auto" }, gap.title), badge(name(gap.status))), h("div", { class: "actions" }, ...made)),
      h("div", { class: "sheet" }, notice.node,
        facts([["Questions", gap.questions], ["Conversations", gap.sessions], ["Tickets", gap.tickets || null], ["An honest no", gap.no_answer || null], ["Asked back", gap.clarified || null], ["Disliked", gap.thumbs_down || null],
          ["Went to people", gap.handed_over || null], ["Answered by hand", gap.by_hand || null], ["Languages", gap.languages.join(", ")], ["First", when(gap.first_seen)], ["Last", when(gap.last_seen)], ["Note", gap.note],
          ["Article", gap.article_id ? h("a", { href: `#/knowledge/${gap.article_id}` }, "Read it") : null]]),
        h("div", { class: "card" }, h("h2", {}, "What customers asked"), h("ul", { class: "examples" }, ...gap.examples.map((text) => h("li", { class: "said", dir: "auto" }, linked(text)))))));
  }

  async #draft() {
    const article = await this.desk.api.post(`/kb/gaps/${this.id}/draft`);
    this.onChange();
    location.hash = `#/knowledge/${article.id}`;
  }

  #decide(what, title, done) {
    return ask({ title, label: "Note", hint: "For colleagues; may be empty.", button: done, kept: this.desk.kept, keptAs: `${what}:${this.id}`, run: (note) => this.#do(what, { note }, `${done}.`) });
  }

  async #do(what, body, done) {
    this.gap = await this.desk.api.post(`/kb/gaps/${this.id}/${what}`, body);
    this.onChange();
    this.#show();
    this.notice.done(done);
  }
}

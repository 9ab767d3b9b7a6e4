/* One article: its text in any of its versions, and what an admin does with it. */

import { ArticleEditor } from "./editor.js";
import { Notice, action, ask, badge, choice, facts, failed, loading, standing } from "./parts.js";
import { h } from "./shared/dom.js";
import { ANYWHERE } from "./shared/links.js";
import { render } from "./shared/markdown.js";
import { date, name, when } from "./words.js";

export class ArticleView {
  #turn = 0;

  /** `onChange()` is called where the list is not as it was. */
  constructor(desk, id, onChange) {
    Object.assign(this, { desk, id, onChange });
    this.notice = new Notice();
    this.node = h("article", { class: "article", "aria-label": "Article" }, loading("Opening the article"));
    this.#read();
  }

  async #read(version = null) {
    const turn = (this.#turn += 1);
    try {
      const article = await this.desk.api.read(`/kb/articles/${this.id}${version ? `?version=${version}` : ""}`);
      const { items } = article.owner === "tenant" ? await this.desk.api.read(`/kb/articles/${this.id}/versions?limit=100`) : { items: [] };
      if (turn !== this.#turn) return;
      Object.assign(this, { article, versions: items });
      this.#show();
    } catch (error) {
      if (turn === this.#turn) this.node.replaceChildren(failed(error.status === 404 ? new Error("This article does not exist.") : error, () => this.#read(version)));
    }
  }

  #show() {
    const { article, versions, notice } = this;
    const may = this.desk.isAdmin && article.owner === "tenant" && article.status !== "deleted";
    const shown = article.shown_version;
    const versionChoice = versions.length > 1 ? choice("Version", versions.map((each) => [String(each.version), `${each.version}${each.published ? ", published" : each.draft ? ", waits" : ""}`]), String(shown), (version) => this.#read(version)) : null;
    versionChoice?.classList.add("inline");
    const made = [];
    if (may) {
      made.push(action("Edit", () => this.#edit(), { notice }));
      if (shown && shown !== article.published_version) made.push(action(article.draft_version === shown ? "Publish" : "Publish this version", () => this.#do("publish", { number: shown }, "Published. Answers are made from this text now."), { kind: "primary", notice }));
      if (article.status === "published") made.push(action("Withdraw…", () => this.#withdraw(), { kind: "danger", notice }));
      if (article.draft_version && article.published_version) made.push(action("Drop the text that waits…", () => this.#discard(), { notice }));
    }
    this.node.replaceChildren(
      h("header", { class: "head" }, h("a", { class: "back", href: "#/knowledge" }, "‹ Knowledge"), h("div", { class: "title" }, h("h2", { dir: "auto" }, article.title), ...standing(article)),
        h("div", { class: "actions" }, versionChoice, ...made)),
      h("div", { class: "sheet" }, notice.node,
        facts([["Source's id", article.ref], ["Whose", article.owner === "global" ? "The library's: read only" : "Ours"], ["Collection", article.collection], ["Category", article.category], ["Language", article.language],
          ["Tags", article.tags.join(", ")], ["Only for", article.audience.join(", ")], ["Supersedes", article.supersedes.join(", ")], ["Holds from", article.effective_from ? date(article.effective_from) : null],
          ["Holds until", article.effective_until ? date(article.effective_until) : null], ["Changed", when(article.updated_at)], ["Note", article.note]]),
        shown && article.published_version && shown !== article.published_version ? h("p", {}, badge(`This is version ${shown}; answers are made from version ${article.published_version}.`, "warm")) : null,
        h("div", { class: "card prose", dir: "auto" }, article.body ? render(article.body, { hosts: ANYWHERE }) : h("p", { class: "soft" }, `There is no text: it is ${name(article.status).toLowerCase()}.`))));
  }

  #edit() {
    const editor = new ArticleEditor(this.desk, this.article, { onSaved: (article) => this.#done(article, "Saved."), onCancel: () => this.#show() });
    this.node.replaceChildren(editor.node);
    editor.focus();
  }

  async #do(what, body, done) {
    try {
      await this.desk.api.post(`/kb/articles/${this.id}/${what}`, { ...body, version: this.article.version });
    } catch (error) {
      if (error.status === 409) await this.#read();
      throw error;
    }
    await this.#done(null, done);
  }

  async #done(_, text) {
    this.onChange();
    await this.#read();
    this.notice.done(text);
    this.desk.shell.say(text);
  }

  #withdraw() {
    return ask({ title: "Withdraw this article", text: "No answer is made from it until it is published again.", button: "Withdraw", kind: "danger", run: () => this.#do("withdraw", {}, "Withdrawn.") });
  }

  #discard() {
    return ask({ title: "Drop the text that waits", text: "It stays among the versions.", button: "Drop it", run: () => this.#do("discard", {}, "Dropped.") });
  }
}

/* Writing an article, or a new version of one. What is written is kept until it is saved. */

import { Notice, busy, field } from "./parts.js";
import { h } from "./shared/dom.js";

export class ArticleEditor {
  /** With `article` its newest text is changed, else a new one is made. */
  constructor(desk, article, { onSaved, onCancel = () => (location.hash = "#/knowledge") }) {
    Object.assign(this, { desk, article, onSaved });
    const { kept } = desk;
    this.keys = ["title", "body", "note"].map((part) => `article:${article ? `${article.id}:${article.version}` : "new"}:${part}`);
    this.title = kept.bind(h("input", { type: "text", maxLength: 200, dir: "auto" }), this.keys[0], article?.title ?? "");
    this.body = kept.bind(h("textarea", { rows: "18", class: "code", dir: "auto" }), this.keys[1], article?.body ?? "");
    this.note = kept.bind(h("input", { type: "text", maxLength: 500 }), this.keys[2]);
    this.notice = new Notice();
    const button = (label, publish, kind) => {
      const made = h("button", { type: "button", class: `button ${kind}`, onclick: () => busy(made, () => this.#save(publish), this.notice) }, label);
      return made;
    };
    this.node = h("section", { class: "editor" },
      h("header", { class: "head" }, h("a", { class: "back", href: "#/knowledge" }, "‹ Knowledge"), h("h2", {}, article ? "Edit the article" : "Write an article")),
      h("div", { class: "sheet" }, field("Title", this.title), field("Text", this.body, "Markdown. Headings help: each part is found by its own."), field("Note for colleagues", this.note, "What this version changes; may be empty."),
        this.notice.node, h("div", { class: "actions" }, button("Save, and let it wait", false, ""), button("Save and publish", true, "primary"), h("button", { type: "button", class: "button quiet", onclick: onCancel }, "Cancel"))));
  }

  focus() {
    this.title.focus();
  }

  async #save(publish) {
    const [title, body] = [this.title.value.trim(), this.body.value];
    if (!title || !body.trim()) throw new Error("An article needs a title and a text.");
    const said = { title, body, publish, note: this.note.value.trim() };
    const { api, kept } = this.desk;
    const saved = this.article ? await api.change("PATCH", `/kb/articles/${this.article.id}`, { ...said, version: this.article.version }) : await api.post("/kb/articles", said);
    for (const key of this.keys) kept.set(key, "");
    this.onSaved(saved);
  }
}

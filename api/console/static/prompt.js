/* One prompt in any of its versions: read, changed as a new version, compared, and chosen to answer. */

import { Notice, action, ask, badge, busy, choice, facts, failed, field, loading, said } from "./parts.js";
import { h } from "./shared/dom.js";
import { when } from "./words.js";

const PARTS = [
  ["system_prompt", "System prompt", "Persona and manner; no placeholders. Below a line like [for trainee] it is for that audience alone, below [for everyone] for all again.", 10, 8000],
  ["context_template", "Context template", "Holds {context} once.", 4, 2000],
  ["task_template", "Task template", "Holds {content} once; {subject} and {department} where they are wanted.", 4, 4000],
];

export class PromptView {
  #turn = 0;

  constructor(desk, id, onChange) {
    Object.assign(this, { desk, id, onChange });
    this.notice = new Notice();
    this.node = h("article", { class: "prompt", "aria-label": "Prompt" }, loading());
    this.#read(id);
  }

  async #read(id) {
    const turn = (this.#turn += 1);
    try {
      const [prompt, versions] = await Promise.all([this.desk.api.read(`/prompts/${id}`), this.desk.api.readAll(`/prompts/${id}/versions`)]);
      if (turn !== this.#turn) return;
      Object.assign(this, { prompt, versions });
      this.#show();
    } catch (error) {
      if (turn === this.#turn) this.node.replaceChildren(failed(error.status === 404 ? new Error("This prompt does not exist.") : error, () => this.#read(id)));
    }
  }

  #show() {
    const { prompt, versions, notice } = this;
    const newest = prompt.version === prompt.versions;
    const pick = versions.length > 1 ? choice("Version", versions.map((each) => [each.id, `${each.version}${each.is_active ? ", active" : ""}`]), prompt.id, (id) => this.#read(id)) : null;
    pick?.classList.add("inline");
    const made = [];
    if (!prompt.in_force && !prompt.is_global) made.push(action("Activate…", () => this.#activate(), { kind: "primary", notice }));
    else if (!prompt.is_global) made.push(action("Let the default answer…", () => this.#deactivate(), { notice }));
    if (prompt.is_global) made.push(action("Copy to change it", () => this.#copy(), { notice }));
    else if (newest) made.push(action("Edit", () => this.#edit(), { notice }));
    if (prompt.based_on) made.push(action("What changed", () => this.#compare(), { notice }));
    made.push(h("a", { class: "button", href: `#/playground/${prompt.id}` }, "Try it"));
    this.extra = h("div", {});
    this.node.replaceChildren(
      h("header", { class: "head" }, h("a", { class: "back", href: "#/prompts" }, "‹ Prompts"), h("div", { class: "title" }, h("h2", { dir: "auto" }, prompt.name), badge(`Version ${prompt.version}`), prompt.in_force ? badge("Answers now", "good") : null),
        h("div", { class: "actions" }, pick, ...made)),
      h("div", { class: "sheet" }, notice.node, this.extra, newest || prompt.is_global ? null : h("p", { class: "soft" }, `Version ${prompt.versions} is the newest; only that one is edited.`),
        facts([["Whose", prompt.is_global ? "The library's" : "Ours"], ["Written", when(prompt.created_at)], ["Changed", prompt.note]]),
        prompt.description ? h("p", { dir: "auto" }, prompt.description) : null,
        ...PARTS.map(([part, title]) => h("section", { class: "card" }, h("h2", {}, title), h("div", { class: "said code-text", dir: "auto" }, prompt[part])))));
  }

  #edit() {
    const { prompt } = this;
    const { kept, api } = this.desk;
    const keyOf = (part) => `prompt:${prompt.id}:${part}`;
    const notice = new Notice();
    const fields = new Map(PARTS.map(([part, title, hint, rows, most]) => [part, { node: kept.bind(h("textarea", { rows: String(rows), maxLength: most, class: "code", dir: "auto" }), keyOf(part), prompt[part]), title, hint }]));
    const note = kept.bind(h("input", { type: "text", maxLength: 500 }), keyOf("note"));
    const save = h("button", { type: "submit", class: "button primary" }, "Save as a new version");
    const form = h("form", { class: "sheet", onsubmit: async (event) => {
      event.preventDefault();
      await busy(save, async () => {
        const changes = Object.fromEntries([...fields].filter(([part, { node }]) => node.value !== prompt[part]).map(([part, { node }]) => [part, node.value]));
        if (!Object.keys(changes).length) throw new Error("Nothing is different yet.");
        const made = await api.post(`/prompts/${prompt.id}/versions`, { ...changes, note: note.value.trim() });
        for (const part of [...fields.keys(), "note"]) kept.set(keyOf(part), "");
        await this.#done(made.id, `Version ${made.version} is saved. It answers once it is activated.`);
      }, notice);
    } }, ...[...fields.values()].map(({ node, title, hint }) => field(title, node, hint)), field("What this version changes", note, "May be empty."), notice.node,
    h("div", { class: "actions" }, save, h("button", { type: "button", class: "button quiet", onclick: () => this.#show() }, "Cancel")));
    this.node.replaceChildren(h("header", { class: "head" }, h("a", { class: "back", href: "#/prompts" }, "‹ Prompts"), h("h2", { dir: "auto" }, `Edit ${prompt.name}`)), form);
    fields.get("system_prompt").node.focus();
  }

  async #copy() {
    const made = await this.desk.api.post(`/prompts/${this.prompt.id}/duplicate`);
    this.onChange();
    location.hash = `#/prompts/${made.id}`;
  }

  async #activate() {
    const { prompt } = this;
    const now = await this.desk.api.read("/prompts/active").catch((error) => {
      if (error.status === 404) return null;
      throw error;
    });
    await ask({
      title: `Let version ${prompt.version} of “${prompt.name}” answer`, text: now ? `From the next message on, instead of version ${now.version} of “${now.name}”.` : "From the next message on.", button: "Activate",
      run: async () => {
        await this.desk.api.post(`/prompts/${prompt.id}/activate`, now ? { instead_of: now.id } : {});
        await this.#done(prompt.id, "It answers now.");
      },
    });
  }

  #deactivate() {
    return ask({ title: "Let the default answer", text: "From the next message on, the library's default prompt answers instead of this one.", button: "Deactivate", run: async () => {
      await this.desk.api.post(`/prompts/${this.prompt.id}/deactivate`);
      await this.#done(this.prompt.id, "The default answers now.");
    } });
  }

  async #compare() {
    const { unified, added, removed } = await this.desk.api.read(`/prompts/${this.prompt.id}/diff`);
    this.extra.replaceChildren(h("section", { class: "card" }, h("h2", {}, `Against the version that it was made from: ${added} added, ${removed} removed`), unified ? h("div", { class: "code-text", tabIndex: 0 }, said(unified)) : h("p", { class: "soft" }, "Nothing differs.")));
  }

  async #done(id, text) {
    this.onChange();
    await this.#read(id);
    this.notice.done(text);
    this.desk.shell.say(text);
  }
}

/* The playground: any question under any prompt, with all that the pipeline made of it. Nothing is stored, nothing done. */

import { Notice, badge, busy, choice, confidence, facts, failed, field } from "./parts.js";
import { bar } from "./charts.js";
import { quotes } from "./log.js";
import { h } from "./shared/dom.js";
import { ANYWHERE, linked } from "./shared/links.js";
import { render } from "./shared/markdown.js";
import { duration, name, number, percent } from "./words.js";

export class Playground {
  #prompt = "";

  constructor(desk) {
    this.desk = desk;
    const { kept } = desk;
    this.notice = new Notice();
    this.kind = "message";
    this.subject = kept.bind(h("input", { type: "text", maxLength: 200 }), "playground:subject");
    this.text = kept.bind(h("textarea", { rows: "4", maxLength: 8000 }), "playground:text");
    this.ofTicket = field("Subject", this.subject);
    this.ofTicket.hidden = true;
    this.prompts = h("div", {});
    this.button = h("button", { type: "submit", class: "button primary" }, "Try it");
    this.result = h("div", { class: "stack" });
    this.node = h("section", { class: "page" }, h("div", { class: "page-head" }, h("h2", { class: "big" }, "Playground"), h("p", { class: "soft" }, "Nothing here is stored, and nobody is told.")),
      h("form", { class: "card", onsubmit: (event) => this.#submit(event) },
        h("div", { class: "filters" }, choice("What it is", [["message", "A question in a chat"], ["ticket", "A ticket, to draft a reply"]], "message", (kind) => {
          this.kind = kind;
          this.ofTicket.hidden = kind !== "ticket";
        }), this.prompts),
        this.ofTicket, field("The customer's words", this.text), this.notice.node, h("div", { class: "actions" }, this.button)),
      this.result);
  }

  show([prompt = ""]) {
    if (prompt) this.#prompt = prompt;
    this.#readPrompts();
  }

  async #readPrompts() {
    try {
      const newest = await this.desk.api.readAll("/prompts");
      const known = newest.some(({ id }) => id === this.#prompt) || !this.#prompt ? newest : [await this.desk.api.read(`/prompts/${this.#prompt}`), ...newest];
      this.prompts.replaceChildren(choice("Prompt", [["", "The one that answers now"], ...known.map((each) => [each.id, `${each.name}, version ${each.version}`])], this.#prompt, (id) => (this.#prompt = id)));
    } catch (error) {
      this.prompts.replaceChildren(failed(error, () => this.#readPrompts()));
    }
  }

  async #submit(event) {
    event.preventDefault();
    await busy(this.button, async () => {
      const text = this.text.value.trim();
      const subject = this.subject.value.trim();
      if (!text || (this.kind === "ticket" && !subject)) throw new Error(this.kind === "ticket" ? "A ticket needs a subject and words." : "Write a question first.");
      this.result.setAttribute("aria-busy", "true");
      try {
        const found = await this.desk.api.post("/playground", {
          ...(this.kind === "ticket" ? { ticket: { subject, content: text } } : { message: text }), ...(this.#prompt ? { prompt_version_id: this.#prompt } : {}),
        });
        for (const key of ["playground:text", "playground:subject"]) this.desk.kept.set(key, ""); // asked: nothing is lost with it
        this.#show(found);
        this.desk.shell.say("The answer is there.");
      } finally {
        this.result.removeAttribute("aria-busy");
      }
    }, this.notice);
  }

  #show(found) {
    const { classification: about, guard } = found;
    const cards = [
      h("section", { class: "card" }, h("h2", {}, found.kind === "draft" ? "The draft" : "The answer"),
        h("p", { class: "badges" }, found.confidence ? confidence(found.confidence) : null, found.outcome ? badge(name(found.outcome)) : null, found.requires_escalation ? badge(`To a person${found.decision?.reason ? `: ${name(found.decision.reason)}` : ""}`, "warm") : null,
          guard.action === "allow" ? null : badge(`Guard: ${name(guard.action)}`, "bad"), badge(duration(found.total_ms / 1000))),
        h("div", { class: "prose", dir: "auto" }, found.answer ? render(found.answer, { hosts: ANYWHERE, cite: (number) => h("span", { class: "cite" }, String(number)) }) : h("p", { class: "soft" }, "There is no answer.")), quotes(found.sources)),
      found.confidence ? h("section", { class: "card" }, h("h2", {}, "Parts of the confidence"), h("ul", { class: "bars" }, ...Object.entries(found.confidence.parts).map(([part, value]) => h("li", {}, h("span", {}, name(part)), bar(value), h("span", {}, percent(value)))))) : null,
      found.withheld.length ? h("section", { class: "card" }, h("h2", {}, "Withheld: no customer would see it"), h("ul", { class: "examples" }, ...found.withheld.map((each) => h("li", { dir: "auto" }, `${each.text} (${name(each.reason).toLowerCase()})`)))) : null,
      found.effects.length ? h("section", { class: "card" }, h("h2", {}, "What a live turn would have done"), h("ul", { class: "examples" }, ...found.effects.map((each) => h("li", {}, name(each.what))))) : null,
      h("section", { class: "card" }, h("h2", {}, "How it was read"), facts([
        ["About", name(about.intent) || "nothing that is known"], ["Certainty", percent(about.certainty)], ["Severity", name(about.severity)], ["Tier", about.tier], ["Language", about.language], ["Wants a person", about.wants_human ? "yes" : "no"],
        ["Guard", guard.action === "allow" ? "lets it through" : `${name(guard.category)}: ${guard.reason}`], ["Searched for", found.queries.join(" · ")], ["Prompt", found.prompt_name], ["Tokens", `${number(found.tokens.input)} read, ${number(found.tokens.output)} written`]])),
      h("section", { class: "card" }, h("h2", {}, `What was found (${found.passages.length})`), h("ul", { class: "sources" }, ...found.passages.map((passage) => h("li", {}, h("details", {},
        h("summary", {}, h("span", { class: "cite" }, passage.number ?? "–"), h("span", { dir: "auto" }, [passage.title, passage.heading].filter(Boolean).join(" › ")), " ", h("span", {}, `score ${number(passage.score)}, likeness ${percent(passage.similarity)}`), passage.cited ? badge("Cited", "good") : ""),
        h("div", { class: "quote", dir: "auto" }, linked(passage.content))))))),
      found.prompt.length ? h("section", { class: "card" }, h("details", {}, h("summary", {}, "The prompt, as it was sent"), ...found.prompt.map(({ role, content }) => h("div", {}, h("h3", {}, name(role)), h("div", { class: "said code-text", dir: "auto" }, content))))) : null,
      h("section", { class: "card" }, h("details", {}, h("summary", {}, "Steps"), facts(found.steps.map((step) => [name(step.name), `${number(step.ms)} ms`])))),
    ];
    this.result.replaceChildren(...cards.filter(Boolean));
  }
}
